"""Settings of brokers, topics and groups that clients change: obeyed at once, and still there after a restart."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from mainstem import Broker

API_VERSIONS = 18
WAIT_S = 30


def client(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers})


def change(admin: AdminClient, kind: ResourceType, name: str, key: str, value: str | None) -> None:
    operation = AlterConfigOpType.SET if value is not None else AlterConfigOpType.DELETE
    entry = ConfigEntry(key, value, incremental_operation=operation)
    resource = ConfigResource(kind, name, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(WAIT_S)


def describe(admin: AdminClient, kind: ResourceType, name: str, key: str) -> tuple[str | None, int]:
    """The value and the number of its source."""
    resource = ConfigResource(kind, name)
    entry = admin.describe_configs([resource])[resource].result(WAIT_S)[key]
    return entry.value, int(entry.source)


def produce(broker: Broker, topic: str, size: int) -> KafkaError | None:
    answers: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce(topic, b"x" * size, on_delivery=lambda error, _: answers.append(error))
    producer.flush(WAIT_S)
    (answer,) = answers
    return answer


@pytest.mark.parametrize("storage", ["segments", "sqlite"])
def test_what_was_changed_is_obeyed_and_survives_a_restart(tmp_path: Path, storage: str) -> None:
    with Broker(data=tmp_path, storage=storage) as broker:
        admin = client(broker)
        admin.create_topics([NewTopic("t", 1, 1)])["t"].result(WAIT_S)
        assert produce(broker, "t", 1000) is None
        change(admin, ResourceType.BROKER, "1", "message.max.bytes", "500")
        refused = produce(broker, "t", 1000)
        assert refused is not None
        assert refused.code() == KafkaError.MSG_SIZE_TOO_LARGE
        change(admin, ResourceType.BROKER, "1", "log.retention.ms", "7000")
        change(admin, ResourceType.TOPIC, "t", "segment.ms", "9000")
    with Broker(data=tmp_path, storage=storage) as broker:
        admin = client(broker)
        assert describe(admin, ResourceType.BROKER, "1", "message.max.bytes") == ("500", 2)
        assert describe(admin, ResourceType.TOPIC, "t", "retention.ms") == ("7000", 2)
        assert describe(admin, ResourceType.TOPIC, "t", "segment.ms") == ("9000", 1)
        refused = produce(broker, "t", 1000)
        assert refused is not None
        assert refused.code() == KafkaError.MSG_SIZE_TOO_LARGE
        change(admin, ResourceType.BROKER, "1", "message.max.bytes", None)
        assert produce(broker, "t", 1000) is None


def test_the_old_call_replaces_everything() -> None:
    """AlterConfigs, as old clients send it."""
    with Broker(storage="memory") as broker:
        admin = client(broker)
        admin.create_topics([NewTopic("t", 1, 1, config={"retention.ms": "5"})])["t"].result(WAIT_S)
        resource = ConfigResource(ResourceType.TOPIC, "t", set_config={"segment.ms": "9000"})
        with pytest.warns(DeprecationWarning, match="alter_configs"):
            futures = admin.alter_configs([resource])
        futures[resource].result(WAIT_S)
        assert describe(admin, ResourceType.TOPIC, "t", "retention.ms") == ("604800000", 5)
        assert describe(admin, ResourceType.TOPIC, "t", "segment.ms") == ("9000", 1)


@pytest.mark.parametrize(
    ("key", "value"), [("message.max.bytes", "x"), ("num.partitions", "2"), ("log.retention.ms", "0")]
)
def test_a_broker_refuses_what_it_cannot_obey_and_names_the_key(key: str, value: str) -> None:
    with Broker(storage="memory") as broker, pytest.raises(KafkaException, match=key.replace(".", r"\.")) as caught:
        change(client(broker), ResourceType.BROKER, "1", key, value)
    assert caught.value.args[0].code() == KafkaError.INVALID_REQUEST


def test_connections_of_one_address_are_limited_while_the_broker_runs() -> None:
    with Broker(storage="memory") as broker:
        admin = client(broker)
        change(admin, ResourceType.BROKER, "1", "max.connections.per.ip", "1")
        host, port = broker.bootstrap_servers.rsplit(":", 1)
        # The administrator's own connections count, too.
        with socket.create_connection((host, int(port)), WAIT_S) as refused:
            assert refused.recv(1) == b""
        change(admin, ResourceType.BROKER, "1", "max.connections.per.ip.overrides", f"{host}:50")
        with socket.create_connection((host, int(port)), WAIT_S) as accepted:
            accepted.sendall(struct.pack(">ihhih", 10, API_VERSIONS, 0, 7, -1))
            assert struct.unpack(">ii", accepted.recv(8, socket.MSG_WAITALL))[1] == 7
