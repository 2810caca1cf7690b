"""DeleteRecords by real clients: the log start offset moves at once, and is where it was after kill -9."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from kafka import KafkaAdminClient
from kafka import TopicPartition as KafkaPythonPartition

WAIT_S = 30


def create(admin: AdminClient, topic: str, config: dict[str, str] | None = None, records: int = 10) -> str:
    admin.create_topics([NewTopic(topic, 1, 1, config=config or {})])[topic].result(WAIT_S)
    return topic


def write(bootstrap: str, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for n in range(count):
        producer.produce(topic, b"value-%d" % n, b"key-%d" % n)
        producer.flush(WAIT_S)


def delete(admin: AdminClient, topic: str, offset: int) -> int:
    partition = TopicPartition(topic, 0, offset)
    return admin.delete_records([partition])[partition].result(WAIT_S).low_watermark


def first_offset(bootstrap: str, topic: str, at: int) -> int | KafkaError:
    """Of the first record at or after `at`, or the error that the broker answers there."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "auto.offset.reset": "error"})
    consumer.assign([TopicPartition(topic, 0, at)])
    message = consumer.poll(WAIT_S)
    consumer.close()
    assert message is not None
    return message.error() or message.offset()


def test_records_below_the_offset_are_gone_and_stay_gone(broker_process: Callable[..., Any]) -> None:
    broker = broker_process()
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    topic = create(admin, "trimmed")
    write(broker.bootstrap_servers, topic, 10)
    assert delete(admin, topic, 4) == 4
    assert first_offset(broker.bootstrap_servers, topic, 4) == 4
    refused = first_offset(broker.bootstrap_servers, topic, 3)
    assert isinstance(refused, KafkaError)
    assert refused.code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)
    assert delete(admin, topic, 2) == 4

    broker.kill()
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    earliest = admin.list_offsets({TopicPartition(topic, 0): OffsetSpec.earliest()})
    assert earliest[TopicPartition(topic, 0)].result(WAIT_S).offset == 4
    assert delete(admin, topic, -1) == 10
    write(broker.bootstrap_servers, topic, 1)
    assert first_offset(broker.bootstrap_servers, topic, 10) == 10


def test_what_may_not_be_deleted_is_refused_by_name(broker_process: Callable[..., Any]) -> None:
    broker = broker_process()
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    topic = create(admin, "whole")
    write(broker.bootstrap_servers, topic, 3)
    compacted = create(admin, "compacted", {"cleanup.policy": "compact"})
    both = create(admin, "both", {"cleanup.policy": "compact,delete"})
    write(broker.bootstrap_servers, both, 2)
    for name, offset, code in (
        (topic, 4, KafkaError.OFFSET_OUT_OF_RANGE),
        (compacted, 0, KafkaError.POLICY_VIOLATION),
    ):
        with pytest.raises(KafkaException) as refused:
            delete(admin, name, offset)
        assert refused.value.args[0].code() == code
    assert delete(admin, both, 1) == 1


def test_kafka_python_deletes_records(broker_process: Callable[..., Any]) -> None:
    broker = broker_process()
    broker.start()
    topic = create(AdminClient({"bootstrap.servers": broker.bootstrap_servers}), "by-kafka-python")
    write(broker.bootstrap_servers, topic, 5)
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    partition = KafkaPythonPartition(topic, 0)
    answer = admin.delete_records({partition: 3}, timeout_ms=10_000)
    admin.close()
    assert "3" in str(answer[partition])
    assert first_offset(broker.bootstrap_servers, topic, 3) == 3


def test_producer_is_told_which_records_have_no_key(broker_process: Callable[..., Any]) -> None:
    broker = broker_process()
    broker.start()
    topic = create(AdminClient({"bootstrap.servers": broker.bootstrap_servers}), "keyed", {"cleanup.policy": "compact"})
    told: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce(topic, b"v", on_delivery=lambda error, message: told.append(error))
    producer.flush(WAIT_S)
    producer.produce(topic, b"v", b"k", on_delivery=lambda error, message: told.append(error))
    producer.flush(WAIT_S)
    assert [None if error is None else error.code() for error in told] == [KafkaError.INVALID_RECORD, None]


def test_topic_codec_wins_over_the_producer_and_is_read_back(broker_process: Callable[..., Any]) -> None:
    broker = broker_process()
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    topic = create(admin, "packed", {"compression.type": "zstd"})
    write(broker.bootstrap_servers, topic, 3)
    data = (broker.data / "packed-0" / f"{0:020d}.log").read_bytes()
    assert data[22] & 7 == 4
    assert first_offset(broker.bootstrap_servers, topic, 2) == 2
