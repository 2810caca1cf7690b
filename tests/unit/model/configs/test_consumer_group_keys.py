"""Keys of consumer groups: what is taken, and what contradicts itself."""

from __future__ import annotations

import pytest

from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.group import GroupConfig
from mainstem.model.errors import ConfigError
from mainstem.runtime.groups import group_settings

P = "group.consumer."


def test_the_defaults_are_those_of_kafka() -> None:
    config = BrokerConfig.from_texts({})
    assert config.group_consumer_assignors == ("uniform", "range")
    assert config.group_consumer_heartbeat_interval_ms == 5_000
    assert config.group_consumer_session_timeout_ms == 45_000
    assert config.group_consumer_max_size == 2**31 - 1
    assert config.group_consumer_migration_policy == "bidirectional"


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        ({"heartbeat.interval.ms": "4999"}, "min.heartbeat.interval.ms"),
        ({"heartbeat.interval.ms": "15001"}, "heartbeat.interval.ms"),
        ({"max.heartbeat.interval.ms": "4000"}, "min.heartbeat.interval.ms"),
        ({"session.timeout.ms": "44999"}, "min.session.timeout.ms"),
        ({"session.timeout.ms": "60001"}, "session.timeout.ms"),
        ({"min.session.timeout.ms": "1000", "session.timeout.ms": "5000"}, "heartbeat.interval.ms"),
        ({"assignors": "sticky"}, "assignors"),
        ({"assignors": ""}, "assignors"),
        ({"migration.policy": "sideways"}, "migration.policy"),
        ({"max.size": "0"}, "max.size"),
    ],
)
def test_bad_values_are_refused_by_name(texts: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        BrokerConfig.from_texts({P + name: text for name, text in texts.items()})
    assert refused.value.key == P + key


def test_assignors_may_be_named_as_kafkas_classes() -> None:
    name = "org.apache.kafka.coordinator.group.assignor.RangeAssignor"
    config = BrokerConfig.from_texts({P + "assignors": f"{name},uniform,range"})
    assert group_settings(config).consumer_assignors == ("range", "uniform")


def test_a_groups_own_settings_keep_within_the_brokers_bounds() -> None:
    broker = BrokerConfig.from_texts({P + "min.session.timeout.ms": "30000"})
    config = GroupConfig.checked({"consumer.session.timeout.ms": "30000"}, broker)
    assert (config.consumer_session_timeout_ms, config.consumer_heartbeat_interval_ms) == (30_000, 5_000)
    with pytest.raises(ConfigError):
        GroupConfig.checked({"consumer.session.timeout.ms": "29999"}, broker)
