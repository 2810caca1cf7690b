from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException

from mainstem.client.connection import Connection
from mainstem.client.errors import RefusedError, UnreachableError
from mainstem.client.librdkafka import translated
from mainstem.client.producer import ConsoleProducer
from mainstem.client.protocol import ProtocolConnection
from mainstem.model.errors import ConfigError, ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.describe_cluster import DescribeClusterRequest


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("localhost:9092", [("localhost", 9092)]),
        ("a:1, b:2", [("a", 1), ("b", 2)]),
        ("[::1]:9092", [("::1", 9092)]),
        ("PLAINTEXT://host:1", [("host", 1)]),
    ],
)
def test_bootstrap_addresses(text: str, addresses: list[tuple[str, int]]) -> None:
    assert Connection(bootstrap_servers=text).addresses() == addresses


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:port", "a:1,b"])
def test_addresses_without_host_or_port_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"bootstrap\.servers="):
        Connection(bootstrap_servers=text).addresses()


def test_java_names_become_librdkafkas() -> None:
    connection = Connection(
        bootstrap_servers="h:1",
        properties={"send.buffer.bytes": "9", "max.block.ms": "1", "linger.ms": "5", "client.id": "mine"},
    )
    settings = connection.settings(client_id="ours")
    del settings["logger"]
    assert settings == {
        "bootstrap.servers": "h:1",
        "socket.send.buffer.bytes": "9",
        "linger.ms": "5",
        "client.id": "ours",
    }


def test_java_security_becomes_librdkafkas() -> None:
    settings = Connection(
        bootstrap_servers="h:1",
        properties={
            "security.protocol": "SASL_SSL",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": "/trusted.pem",
            "ssl.keystore.location": "/both.pem",
            "sasl.mechanism": "PLAIN",
            "sasl.jaas.config": 'PlainLoginModule required username="u" password="p";',
        },
    ).settings()
    del settings["logger"]
    assert settings == {
        "bootstrap.servers": "h:1",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "/trusted.pem",
        "ssl.certificate.location": "/both.pem",
        "ssl.key.location": "/both.pem",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "u",
        "sasl.password": "p",
    }


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_any_reachable_bootstrap_address_is_enough(free_port: int) -> None:
    Connection(bootstrap_servers=f"127.0.0.1:1,127.0.0.1:{free_port}").probe()


def test_the_first_reason_is_told_when_none_is_reachable() -> None:
    with pytest.raises(UnreachableError, match=r"no broker answers at 127\.0\.0\.1:1: Connection refused"):
        Connection(bootstrap_servers="127.0.0.1:1").probe()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [("linger.m", "1", r"did you mean linger\.ms\?"), ("linger.ms", "x", "Invalid value")],
)
def test_a_property_that_no_client_has_is_refused(free_port: int, name: str, value: str, problem: str) -> None:
    connection = Connection(bootstrap_servers=f"127.0.0.1:{free_port}", properties={name: value})
    with pytest.raises(ConfigError, match=problem):
        ConsoleProducer(connection, "topic", print)


def test_errors_of_brokers_and_of_the_network_are_told_apart() -> None:
    refused = translated(KafkaException(KafkaError(36, "Topic 'a' already exists.")), "h:1")
    assert isinstance(refused, RefusedError)
    assert (refused.code, str(refused)) == (ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'a' already exists.")
    assert isinstance(translated(KafkaException(KafkaError(KafkaError._TRANSPORT)), "h:1"), UnreachableError)
    unknown = translated(KafkaException(KafkaError(KafkaError._INVALID_ARG, "no")), "h:1")
    assert isinstance(unknown, RefusedError)
    assert unknown.code is ErrorCode.UNKNOWN_SERVER_ERROR


class OneAnswer(threading.Thread):
    """A server that reads one request and answers with fixed bytes."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]

    def run(self) -> None:
        with self._server, self._server.accept()[0] as line:
            line.recv(1 << 16)
            line.sendall(self._answer)


API_VERSIONS_WITHOUT_DESCRIBE_CLUSTER = struct.pack(">ihihhh", 1, 0, 1, ApiKey.API_VERSIONS, 0, 4)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "the broker closed the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there is not a Kafka broker"),
        (struct.pack(">ii", 6, 1) + b"\0\0", "it answers nonsense"),
        (b"\0\0", "the broker closed the connection"),
    ],
)
def test_whatever_answers_instead_of_a_broker_is_an_error_with_a_reason(answer: bytes, problem: str) -> None:
    server = OneAnswer(answer)
    server.start()
    with (
        ProtocolConnection("127.0.0.1", server.port, 10.0) as broker,
        pytest.raises(UnreachableError, match=problem),
    ):
        broker.ask(ApiKey.DESCRIBE_CLUSTER, DescribeClusterRequest())
    server.join()


def test_an_api_that_the_broker_does_not_serve_is_refused() -> None:
    body = API_VERSIONS_WITHOUT_DESCRIBE_CLUSTER
    server = OneAnswer(struct.pack(">i", len(body)) + body)
    server.start()
    with (
        ProtocolConnection("127.0.0.1", server.port, 10.0) as broker,
        pytest.raises(RefusedError, match="the broker does not serve DESCRIBE_CLUSTER"),
    ):
        broker.ask(ApiKey.DESCRIBE_CLUSTER, DescribeClusterRequest())
    server.join()
