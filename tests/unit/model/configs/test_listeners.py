from __future__ import annotations

import pytest

from mainstem.model.cluster import Endpoint
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.listeners import parse_listeners, show_listeners
from mainstem.model.errors import ConfigError

PLAIN = {"PLAINTEXT": "PLAINTEXT", "INTERNAL": "PLAINTEXT", "EXTERNAL": "PLAINTEXT"}


def listeners(**texts: str) -> BrokerConfig:
    return BrokerConfig.from_texts({name.replace("_", "."): text for name, text in texts.items()})


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("PLAINTEXT://127.0.0.1:9092", "127.0.0.1", 9092),
        ("PLAINTEXT://:9092", "", 9092),
        ("PLAINTEXT://0.0.0.0:0", "0.0.0.0", 0),
        ("PLAINTEXT://[::1]:9092", "::1", 9092),
        ("PLAINTEXT://[fe80::1%eth0]:9092", "fe80::1%eth0", 9092),
        ("plaintext://kafka-1.example:65535", "kafka-1.example", 65535),
    ],
)
def test_a_listener_is_a_name_a_host_and_a_port(text: str, host: str, port: int) -> None:
    expected = Endpoint(listener="PLAINTEXT", security_protocol="PLAINTEXT", host=host, port=port)
    assert parse_listeners("listeners", text, PLAIN) == (expected,)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "at least one NAME://host:port is needed"),
        ("localhost:9092", "'localhost:9092' is not of the form NAME://host:port"),
        ("PLAINTEXT://localhost", "'PLAINTEXT://localhost' has no port; the form is NAME://host:port"),
        ("PLAINTEXT://[::1]", "'PLAINTEXT://[::1]' has no port; the form is NAME://host:port"),
        (
            "PLAINTEXT://localhost:",
            "'' in 'PLAINTEXT://localhost:' is not a port, which is a number from 0 to 65535",
        ),
        (
            "PLAINTEXT://localhost:65536",
            "'65536' in 'PLAINTEXT://localhost:65536' is not a port, which is a number from 0 to 65535",
        ),
        (
            "PLAINTEXT://localhost:-1",
            "'-1' in 'PLAINTEXT://localhost:-1' is not a port, which is a number from 0 to 65535",
        ),
        (
            "PLAINTEXT://local host:1",
            "'local host' in 'PLAINTEXT://local host:1' is not a host name or address",
        ),
        (
            "PL AIN://localhost:1",
            "the listener name of 'PL AIN://localhost:1' may have letters, digits, '_' and '-' only",
        ),
        (
            "://localhost:1",
            "the listener name of '://localhost:1' may have letters, digits, '_' and '-' only",
        ),
        (
            "OTHER://localhost:1",
            "the listener name OTHER is not in listener.security.protocol.map, which has PLAINTEXT, INTERNAL, EXTERNAL",
        ),
        (
            "INTERNAL://a:1,INTERNAL://b:2",
            "the listener name INTERNAL appears twice; each listener has a name of its own",
        ),
    ],
)
def test_a_listener_that_cannot_be_read_is_refused_with_the_exact_reason(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_listeners("listeners", text, PLAIN)
    assert caught.value.allowed == problem


def test_listeners_survive_being_shown() -> None:
    text = "INTERNAL://[::1]:9092,EXTERNAL://:9093"
    assert show_listeners(parse_listeners("listeners", text, PLAIN)) == text


def test_two_listeners_on_one_port_are_refused() -> None:
    with pytest.raises(ConfigError, match="the listeners A and B both use port 9092"):
        listeners(listeners="A://x:9092,B://y:9092", listener_security_protocol_map="A:PLAINTEXT,B:PLAINTEXT")


def test_ipv4_and_ipv6_may_share_a_port_and_zero_is_free() -> None:
    protocols = "A:PLAINTEXT,B:PLAINTEXT"
    for text in ("A://127.0.0.1:9092,B://[::1]:9092", "A://x:0,B://y:0"):
        assert len(listeners(listeners=text, listener_security_protocol_map=protocols).listeners) == 2


def test_controller_listeners_of_kraft_are_left_closed() -> None:
    config = listeners(
        listeners="PLAINTEXT://:9092,CONTROLLER://:9093",
        controller_listener_names="CONTROLLER",
        listener_security_protocol_map="CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        advertised_listeners="PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
    )
    assert [endpoint.listener for endpoint in config.listeners] == ["PLAINTEXT"]
    assert config.advertised_listeners == (
        Endpoint(listener="PLAINTEXT", security_protocol="PLAINTEXT", host="localhost", port=9092),
    )


def test_a_broker_with_controller_listeners_only_is_refused() -> None:
    with pytest.raises(ConfigError, match="no listener is left for clients"):
        listeners(listeners="CONTROLLER://:9093", controller_listener_names="CONTROLLER")


def test_the_first_listener_is_for_brokers_unless_named() -> None:
    protocols = "A:PLAINTEXT,B:PLAINTEXT"
    text = "A://x:1,B://x:2"
    assert listeners(listeners=text, listener_security_protocol_map=protocols).inter_broker_listener_name == "A"
    named = listeners(listeners=text, listener_security_protocol_map=protocols, inter_broker_listener_name="b")
    assert named.inter_broker_listener_name == "B"
    with pytest.raises(ConfigError, match=r"listener\.name='C' is not valid: the listeners are A, B"):
        listeners(listeners=text, listener_security_protocol_map=protocols, inter_broker_listener_name="C")


def test_a_protocol_that_is_not_served_is_refused_rather_than_served_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="SSL is SSL, served so far is PLAINTEXT"):
        listeners(listeners="SSL://:9093")


@pytest.mark.parametrize("text", ["PLAINTEXT", "A:B:C", "A:TLS", ":PLAINTEXT", "A:PLAINTEXT,a:SSL"])
def test_a_protocol_map_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"listener\.security\.protocol\.map="):
        listeners(listener_security_protocol_map=text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("PLAINTEXT://0.0.0.0:9092", "clients cannot connect to 0.0.0.0"),
        ("PLAINTEXT://[::]:9092", "clients cannot connect to ::"),
        ("SSL://example:9092", "the listener name SSL is not in listeners, which has PLAINTEXT"),
    ],
)
def test_an_address_that_clients_cannot_use_is_not_advertised(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        listeners(advertised_listeners=text)
