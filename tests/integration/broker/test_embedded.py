"""The broker inside a Python process: `Broker`, `AsyncBroker`, the pytest fixture."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer, TopicPartition

from mainstem import AsyncBroker, Broker
from mainstem.api.node import CommittedOffset
from mainstem.model import records
from mainstem.model.errors import ErrorCode, RequestError


def produce(bootstrap: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce("orders", value, partition=0)
    assert producer.flush(20) == 0


def consume(bootstrap: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "enable.auto.commit": False})
    consumer.assign([TopicPartition("orders", 0, 0)])
    found = [message.value() for message in consumer.consume(count, 20)]
    consumer.close()
    return found


@pytest.mark.parametrize("storage", ["segments", "memory", "sqlite"])
def test_broker_serves_any_client_and_leaves_nothing_behind(storage: str) -> None:
    before = threading.active_count()
    with Broker(storage=storage) as broker:
        produce(broker.bootstrap_servers, b"1")
        assert consume(broker.bootstrap_servers, 1) == [b"1"]
    assert threading.active_count() <= before + 1  # librdkafka's own clean-up may still run
    with pytest.raises(RuntimeError, match="not running"):
        broker.bootstrap_servers


def test_data_directory_is_kept_and_port_can_be_chosen(tmp_path: Path) -> None:
    with Broker(data=tmp_path) as broker:
        port = int(broker.bootstrap_servers.split(":")[1])
        produce(broker.bootstrap_servers, b"1")
    with Broker(data=tmp_path, port=port) as broker:
        assert broker.bootstrap_servers == f"127.0.0.1:{port}"
        assert consume(broker.bootstrap_servers, 1) == [b"1"]


def test_two_brokers_in_one_process_do_not_know_each_other() -> None:
    with Broker() as one, Broker() as two:
        produce(one.bootstrap_servers, b"1")
        produce(two.bootstrap_servers, b"2")
        assert consume(one.bootstrap_servers, 1) == [b"1"]
        assert consume(two.bootstrap_servers, 1) == [b"2"]


async def test_async_broker_runs_on_the_loop_of_its_user() -> None:
    async with AsyncBroker(storage="memory") as broker:
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
        await producer.start()
        await producer.send_and_wait("orders", b"1")
        await producer.stop()
        consumer = AIOKafkaConsumer(
            "orders", bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest", group_id="g"
        )
        await consumer.start()
        async with asyncio.timeout(20):
            assert (await consumer.getone()).value == b"1"
        await consumer.stop()


async def test_local_node_reads_writes_and_waits_without_a_socket() -> None:
    async with AsyncBroker() as broker:
        node = broker.local_node
        await node.create_topic("orders", 2, {"retention.ms": "-1"})
        place = mainstem_partition()
        assert (node.partition_count("orders"), node.partition_count("nothing")) == (2, None)
        waiting = asyncio.create_task(node.read(place, 0, max_bytes=1000, max_wait_ms=20_000))
        assert await node.append(place, records.encode([b"k"], [b"v"], [5])) == 0
        found = await waiting
        assert (records.decode(found.data).values, found.high_watermark) == ([b"v"], 1)
        assert (await node.read(place, 1, max_bytes=1000, max_wait_ms=0)).data == b""
        assert node.offset_for_time(place, 5) == 0
        await node.commit_offsets("group", {place: CommittedOffset(1)})
        assert await node.committed_offsets("group", [place]) == {place: CommittedOffset(1)}
        with pytest.raises(RequestError) as raised:
            await node.read(place, 99, max_bytes=1000, max_wait_ms=0)
        assert raised.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
        with pytest.raises(RequestError, match="TOPIC_ALREADY_EXISTS"):
            await node.create_topic("orders", 1, {})


def mainstem_partition() -> Any:
    from mainstem.model.ids import TopicPartition as Place

    return Place("orders", 1)


def test_fixture_gives_a_running_broker(mainstem_broker: Broker) -> None:
    produce(mainstem_broker.bootstrap_servers, b"1")
    assert consume(mainstem_broker.bootstrap_servers, 1) == [b"1"]


def test_a_setting_that_nobody_knows_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with Broker({"num.partitons": 3}, storage="memory"):
        pass
    assert "config: num.partitons is not a known configuration; did you mean num.partitions?" in capsys.readouterr().err
    with Broker({"num.partitions": 3}, storage="memory"):
        pass
    assert capsys.readouterr().err == ""
