"""max.connections and max.connections.per.ip, as connections come and go."""

from __future__ import annotations

from mainstem.broker.connection_limits import ConnectionLimits
from mainstem.model.configs.broker import BrokerConfig


def config(**texts: str) -> BrokerConfig:
    return BrokerConfig.from_texts({name.replace("_", "."): text for name, text in texts.items()})


def test_an_address_may_have_so_many_connections_and_no_more() -> None:
    limits, wanted = ConnectionLimits(), config(max_connections_per_ip="2")
    assert [limits.opened("10.0.0.1", wanted) for _ in range(2)] == [None, None]
    assert limits.opened("10.0.0.1", wanted) == "max.connections.per.ip is reached by 10.0.0.1"
    assert limits.opened("10.0.0.2", wanted) is None
    # The one that was refused ends, and one that was not.
    limits.closed("10.0.0.1")
    limits.closed("10.0.0.1")
    assert limits.opened("10.0.0.1", wanted) is None


def test_single_addresses_have_numbers_of_their_own() -> None:
    limits, wanted = (
        ConnectionLimits(),
        config(max_connections_per_ip="0", max_connections_per_ip_overrides="10.0.0.1:1"),
    )
    assert limits.opened("10.0.0.1", wanted) is None
    assert limits.opened("10.0.0.1", wanted) is not None
    assert limits.opened("10.0.0.2", wanted) is not None


def test_the_broker_as_a_whole_has_a_limit() -> None:
    limits, wanted = ConnectionLimits(), config(max_connections="1")
    assert limits.opened("10.0.0.1", wanted) is None
    assert limits.opened("10.0.0.2", wanted) == "max.connections is reached"
    limits.closed("10.0.0.2")
    assert limits.opened("10.0.0.1", config(max_connections="2")) is None
