"""Compaction in a running broker, seen by a real client and found again after a restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SETTINGS = ("log.cleaner.backoff.ms=50", "log.retention.check.interval.ms=100", "log.segment.delete.delay.ms=100")
COMPACTED = {"cleanup.policy": "compact", "internal.segment.bytes": "20000", "min.cleanable.dirty.ratio": "0.01"}
WAIT_S = 30


def create(bootstrap: str, topic: str, config: dict[str, str]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result(30)


def read_all(bootstrap: str, topic: str) -> list[tuple[int, bytes, bytes | None]]:
    """(offset, key, value) of everything a consumer gets from the beginning."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    rows = []
    while True:
        message = consumer.poll(10)
        assert message is not None, "no answer within ten seconds"
        if message.error():
            consumer.close()
            return rows
        rows.append((message.offset(), message.key(), message.value()))


def wait_until(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def write_updates(bootstrap: str, topic: str, updates: int, keys: int) -> dict[bytes, bytes]:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "batch.num.messages": 200})
    last = {}
    for n in range(updates):
        key, value = b"key-%d" % (n % keys), b"value-%d" % n
        producer.produce(topic, value, key)
        last[key] = value
        producer.poll(0)
    assert producer.flush(WAIT_S) == 0
    return last


def test_consumer_of_a_compacted_topic_gets_the_last_values(broker_process: Callable[..., Any]) -> None:
    broker = broker_process(*SETTINGS)
    broker.start()
    create(broker.bootstrap_servers, "latest", COMPACTED)
    last = write_updates(broker.bootstrap_servers, "latest", 20_000, 50)
    before = {offset: (key, value) for offset, key, value in read_all(broker.bootstrap_servers, "latest")}
    wait_until(lambda: len(read_all(broker.bootstrap_servers, "latest")) < 1500)
    rows = read_all(broker.bootstrap_servers, "latest")
    assert {key: value for _, key, value in rows} == last
    assert all(before.get(offset, (key, value)) == (key, value) for offset, key, value in rows)
    assert rows[-1][0] == 19_999

    broker.kill()
    broker.start()
    rows_again = read_all(broker.bootstrap_servers, "latest")
    assert {key: value for _, key, value in rows_again} == last
    assert len(rows_again) <= len(rows)
    checkpoint = (broker.data / "cleaner-offset-checkpoint").read_text().splitlines()
    assert any(line.startswith("latest 0 ") for line in checkpoint)
    write_updates(broker.bootstrap_servers, "latest", 50, 50)
    assert read_all(broker.bootstrap_servers, "latest")[-1][0] == 20_049


def test_committed_offsets_survive_the_compaction_of_their_topic(broker_process: Callable[..., Any]) -> None:
    broker = broker_process(*SETTINGS, "offsets.topic.num.partitions=1", "offsets.topic.segment.bytes=1048576")
    broker.start()
    topic, count = "committed", 300
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(topic, count, 1)])[topic].result(WAIT_S)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "enable.auto.commit": False})
    metadata = "x" * 100
    offsets_log = broker.data / "__consumer_offsets-0" / f"{0:020d}.log"
    for turn in range(1, 41):
        wanted = [TopicPartition(topic, p, turn, metadata) for p in range(count)]
        consumer.commit(offsets=wanted, asynchronous=False)
    wait_until(lambda: offsets_log.stat().st_size < 500_000)
    broker.kill()
    broker.start()
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "enable.auto.commit": False})
    found = consumer.committed([TopicPartition(topic, p) for p in range(count)], timeout=WAIT_S)
    consumer.close()
    assert {p.offset for p in found} == {40}
