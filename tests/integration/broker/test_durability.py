"""A broker that dies in the middle of production comes back with every acknowledged record, in order, once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

IN_FLIGHT_MAX = 200
MakeBroker = Callable[..., Any]


def values_in(bootstrap: str, topic: str, partition: int = 0) -> list[bytes]:
    """Every record of a partition, from the log start to the end of this moment."""
    settings = {"group.id": "reader", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({"bootstrap.servers": bootstrap, **settings, "auto.offset.reset": "earliest"})
    try:
        low, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
        consumer.assign([TopicPartition(topic, partition, low)])
        found: list[bytes] = []
        while True:
            for message in consumer.consume(500, 0.3):
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    return found
                assert error is None, error
                found.append(message.value())
    finally:
        consumer.close()


@pytest.mark.parametrize(("storage", "crash"), [("segments", 1), ("segments", 2), ("segments", 3), ("sqlite", 2)])
def test_kill_9_while_producing_loses_no_acknowledged_record(
    broker_process: MakeBroker, storage: str, crash: int
) -> None:
    broker = broker_process("num.partitions=1", f"log.storage={storage}")
    broker.start()
    acknowledged: list[bytes] = []
    enough = threading.Event()

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            acknowledged.append(message.value())
            if len(acknowledged) >= 400 * crash:
                enough.set()

    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 1,
            "reconnect.backoff.max.ms": 200,
        }
    )
    sent = 0

    def produce(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            producer.produce("orders", f"{sent}".encode(), on_delivery=delivered)
            sent += 1
            while sent - len(acknowledged) > IN_FLIGHT_MAX:
                producer.poll(1)

    while not enough.is_set():
        produce(50)
    produce(300)
    broker.kill()
    before = len(acknowledged)
    broker.start()
    assert before >= 400 * crash
    assert producer.flush(60) == 0

    found = values_in(broker.bootstrap_servers, "orders")
    assert found == [f"{n}".encode() for n in range(sent)]
    assert acknowledged == found
    assert "recovered_after_unclean_stop" in broker.log


@pytest.mark.parametrize("storage", ["segments", "sqlite"])
def test_topics_offsets_configs_and_groups_survive_a_restart_and_a_crash(
    broker_process: MakeBroker, storage: str
) -> None:
    broker = broker_process(f"log.storage={storage}")
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic("orders", 3, 1, config={"retention.ms": "12345"})])["orders"].result(20)
    topic_id = str(admin.describe_topics(_names("orders"))["orders"].result(20).topic_id)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for n in range(30):
        producer.produce("orders", f"{n}".encode(), partition=n % 3)
    assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "billing"})
    consumer.commit(offsets=[TopicPartition("orders", p, p + 1, "note") for p in range(3)], asynchronous=False)
    consumer.close()

    for end in (broker.stop, broker.kill):
        end()
        broker.start()
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        described = admin.describe_topics(_names("orders"))["orders"].result(20)
        assert (str(described.topic_id), len(described.partitions)) == (topic_id, 3)
        resource = ConfigResource(ConfigResource.Type.TOPIC, "orders")
        assert admin.describe_configs([resource])[resource].result(20)["retention.ms"].value == "12345"
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "billing"})
        committed = consumer.committed([TopicPartition("orders", p) for p in range(3)], timeout=20)
        assert [(c.offset, c.metadata) for c in committed] == [(1, "note"), (2, "note"), (3, "note")]
        consumer.close()
        for partition in range(3):
            assert values_in(broker.bootstrap_servers, "orders", partition) == [
                f"{n}".encode() for n in range(30) if n % 3 == partition
            ]


def _names(*topics: str) -> object:
    from confluent_kafka import TopicCollection

    return TopicCollection(list(topics))


def test_sigterm_ends_the_broker_cleanly(broker_process: MakeBroker) -> None:
    broker = broker_process()
    broker.start()
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce("orders", b"1")
    assert producer.flush(20) == 0
    assert broker.stop() == 0
    broker.start()
    assert "recovered_after_unclean_stop" not in broker.log
    assert values_in(broker.bootstrap_servers, "orders") == [b"1"]


@pytest.mark.parametrize("switched_off", ["uvloop", "nowait", "fdatasync"])
def test_broker_works_where_a_feature_is_missing(broker_process: MakeBroker, switched_off: str) -> None:
    broker = broker_process()
    broker.start(**{f"MAINSTEM_{switched_off.upper()}": "0"})
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for n in range(500):
        producer.produce("orders", f"{n}".encode(), partition=0)
    assert producer.flush(20) == 0
    assert values_in(broker.bootstrap_servers, "orders") == [f"{n}".encode() for n in range(500)]
    assert broker.stop() == 0


def test_memory_of_an_idle_broker_stays_small(broker_process: MakeBroker) -> None:
    broker = broker_process()
    broker.start()
    with open(f"/proc/{broker.pid}/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < 80_000_000


def test_kill_9_under_load_with_rolling_segments_retention_and_compaction(broker_process: MakeBroker) -> None:
    """Three kills; idempotent producers on six partitions of three topics go on through them."""
    broker = broker_process("log.retention.check.interval.ms=300", "log.cleaner.backoff.ms=200")
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    configs = {
        "kept": {"segment.bytes": "1048576", "segment.ms": "60000"},
        "short": {"segment.bytes": "1048576", "retention.bytes": "2097152"},
        "compacted": {"segment.bytes": "1048576", "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"},
    }
    for name, config in configs.items():
        admin.create_topics([NewTopic(name, 2, 1, config=config)])[name].result(20)
    acknowledged: dict[tuple[str, int], list[int]] = {(name, p): [] for name in configs for p in range(2)}

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        acknowledged[message.topic(), message.partition()].append(int(message.value()[:8]))

    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 2,
            "batch.size": 30_000,
            "reconnect.backoff.max.ms": 200,
        }
    )
    sent = 0

    def produce(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            for name, partition in acknowledged:
                value = b"%08d" % sent + bytes(2_000)
                producer.produce(name, value, key=b"%d" % (sent % 50), partition=partition, on_delivery=delivered)
            sent += 1
            producer.poll(0)
            while len(producer) > IN_FLIGHT_MAX * 6:
                producer.poll(1)

    for _ in range(3):
        produce(250)
        broker.kill()
        broker.start()
    assert producer.flush(60) == 0
    everything = list(range(sent))
    for (name, partition), numbers in acknowledged.items():
        assert numbers == everything
        found = [int(value[:8]) for value in values_in(broker.bootstrap_servers, name, partition)]
        if name == "compacted":
            assert found == sorted(set(found))
            assert found[-50:] == everything[-50:]
        else:
            assert found == everything[len(everything) - len(found) :]
            assert name == "short" or found == everything
