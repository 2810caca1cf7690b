"""A broker behaves the same on every storage: what clients see does not tell where the records are."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from mainstem import Broker
from mainstem.model.errors import StorageError

DURABLE = ["segments", "sqlite"]
STORAGES = [*DURABLE, "memory"]
TIMEOUT_S = 20


def produce(bootstrap: str, values: list[bytes], **config: object) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 2, **config})
    for value in values:
        producer.produce("orders", value, partition=0)
        producer.poll(0)
    assert producer.flush(TIMEOUT_S) == 0


def consume(bootstrap: str, count: int, group: str = "billing") -> list[bytes]:
    """The next `count` records of the group, which commits them."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders"])
    found: list[bytes] = []
    while len(found) < count:
        messages = consumer.consume(min(500, count - len(found)), TIMEOUT_S)
        assert messages, f"{len(found)} of {count} came"
        assert [message.error() for message in messages if message.error()] == []
        found += [message.value() for message in messages]
    consumer.commit(asynchronous=False)
    consumer.close()
    return found


def create(bootstrap: str, **config: str) -> AdminClient:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("orders", 1, 1, config=config)])["orders"].result(TIMEOUT_S)
    return admin


def watermarks(bootstrap: str) -> tuple[int, int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader"})
    try:
        return consumer.get_watermark_offsets(TopicPartition("orders", 0), timeout=TIMEOUT_S)
    finally:
        consumer.close()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("policy", ["commit", "none"])
def test_records_come_in_order_over_many_segments(storage: str, policy: str) -> None:
    values = [b"%d:" % number + bytes(range(256)) * 12 for number in range(1500)]
    with Broker(storage=storage) as broker:
        create(broker.bootstrap_servers, **{"segment.bytes": "1048576", "flush.policy": policy})
        produce(broker.bootstrap_servers, values, **{"batch.size": 50_000})
        assert consume(broker.bootstrap_servers, 700) == values[:700]
        assert consume(broker.bootstrap_servers, 800) == values[700:]
        assert consume(broker.bootstrap_servers, 1500, group="audit") == values


@pytest.mark.parametrize("storage", STORAGES)
def test_a_deleted_topic_is_empty_when_it_is_made_again(storage: str) -> None:
    with Broker(storage=storage) as broker:
        for number in range(3):
            admin = create(broker.bootstrap_servers)
            assert watermarks(broker.bootstrap_servers) == (0, 0)
            produce(broker.bootstrap_servers, [b"%d" % number] * 5)
            assert watermarks(broker.bootstrap_servers) == (0, 5)
            admin.delete_topics(["orders"])["orders"].result(TIMEOUT_S)


@pytest.mark.parametrize("storage", STORAGES)
def test_offsets_are_found_by_time(storage: str) -> None:
    with Broker(storage=storage) as broker:
        create(broker.bootstrap_servers, **{"segment.bytes": "1048576"})
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "batch.size": 20_000})
        for number in range(1200):
            producer.produce("orders", bytes(1000), partition=0, timestamp=1_000_000 + 10 * number)
        assert producer.flush(TIMEOUT_S) == 0
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"})
        for number in (0, 1, 599, 1199):
            wanted = [TopicPartition("orders", 0, 1_000_000 + 10 * number - 5)]
            assert [found.offset for found in consumer.offsets_for_times(wanted, timeout=TIMEOUT_S)] == [number]
        consumer.close()


@pytest.mark.parametrize("storage", DURABLE)
def test_groups_and_records_go_on_after_a_restart(storage: str, tmp_path: Path) -> None:
    values = [b"%d" % number for number in range(300)]
    for number in range(3):
        with Broker(data=tmp_path, storage=storage) as broker:
            produce(broker.bootstrap_servers, values[100 * number : 100 * number + 100], **{"enable.idempotence": True})
            assert consume(broker.bootstrap_servers, 50) == values[50 * number : 50 * number + 50]
    with Broker(data=tmp_path, storage=storage) as broker:
        assert consume(broker.bootstrap_servers, 150) == values[150:]
        assert watermarks(broker.bootstrap_servers) == (0, 300)


def test_a_broker_on_sqlite_is_one_file_that_can_be_read(tmp_path: Path) -> None:
    with Broker(data=tmp_path, storage="sqlite") as broker:
        create(broker.bootstrap_servers)
        produce(broker.bootstrap_servers, [b"one", b"two"])
        with pytest.raises(StorageError, match="another broker is using this log directory"):
            Broker(data=tmp_path, storage="sqlite").start()
    assert sorted(os.listdir(tmp_path)) == [".lock", "mainstem.sqlite3"]
    with closing(sqlite3.connect(tmp_path / "mainstem.sqlite3")) as shell:
        query = "SELECT log_end_offset, batches FROM topic_partitions WHERE topic = 'orders'"
        end, batches = shell.execute(query).fetchone()
        assert (end, 1 <= batches <= 2) == (2, True)
        (line,) = shell.execute("SELECT line FROM metadata_journal WHERE line LIKE '%TopicCreated%'").fetchone()
        assert '"name":"orders"' in line


def test_several_log_directories_are_several_files(tmp_path: Path) -> None:
    directories = [tmp_path / "one", tmp_path / "two"]
    config = {"log.dirs": ",".join(map(str, directories)), "log.storage.file_name": "records.db"}
    for _ in range(2):
        with Broker(config, storage="sqlite") as broker:
            for topic in ("a", "b"):
                producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
                producer.produce(topic, b"v")
                assert producer.flush(TIMEOUT_S) == 0
    topics: list[str] = []
    for directory in directories:
        with closing(sqlite3.connect(directory / "records.db")) as shell:
            topics += [
                topic for (topic,) in shell.execute("SELECT topic FROM topic_partitions WHERE log_end_offset = 2")
            ]
    assert sorted(topics) == ["a", "b"]
