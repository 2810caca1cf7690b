"""aiokafka and kafka-python: transactions in the words of their producers."""

import asyncio
import warnings
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AioPartition
from aiokafka.errors import ProducerFenced

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.structs import OffsetAndMetadata

TIMEOUT_S = 60


async def read_committed(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """`count` records of partition 0, and nothing after them that is committed."""
    partition = AioPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    async with consumer:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        async with asyncio.timeout(TIMEOUT_S):
            found = [(await consumer.getone()).value for _ in range(count)]
            while await consumer.position(partition) < consumer.last_stable_offset(partition):
                for records in (await consumer.getmany(timeout_ms=50)).values():
                    found += [record.value for record in records]
        return found


async def test_aiokafka_commits_and_aborts(bootstrap: str, new_topic: Callable, fresh_name: Callable) -> None:
    topic = new_topic()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=fresh_name()) as producer:
        for name, commits in ((b"one", True), (b"two", False), (b"three", True)):
            await producer.begin_transaction()
            for index in range(3):
                await producer.send_and_wait(topic, name + str(index).encode(), partition=0)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
    expected = [name + index for name in (b"one", b"three") for index in (b"0", b"1", b"2")]
    assert await read_committed(bootstrap, topic, 6) == expected


async def test_aiokafka_fences_a_zombie(bootstrap: str, new_topic: Callable, fresh_name: Callable) -> None:
    topic, transactional_id = new_topic(), fresh_name()
    zombie = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=transactional_id)
    await zombie.start()
    await zombie.begin_transaction()
    await zombie.send_and_wait(topic, b"of the zombie", partition=0)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=transactional_id) as successor:
        async with successor.transaction():
            await successor.send_and_wait(topic, b"of the successor", partition=0)
        with pytest.raises(ProducerFenced):
            await zombie.commit_transaction()
        await zombie.stop()
    assert await read_committed(bootstrap, topic, 1) == [b"of the successor"]


async def test_aiokafka_sends_offsets(bootstrap: str, new_topic: Callable, fresh_name: Callable) -> None:
    source, target, group = new_topic(), new_topic(), fresh_name()
    partition = AioPartition(source, 0)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=fresh_name()) as producer:
        for offset, commits in ((3, True), (5, False)):
            await producer.begin_transaction()
            await producer.send_and_wait(target, str(offset).encode(), partition=0)
            await producer.send_offsets_to_transaction({partition: offset}, group)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([partition])
        async with asyncio.timeout(TIMEOUT_S):
            assert await consumer.committed(partition) == 3
    assert await read_committed(bootstrap, target, 1) == [b"3"]


def test_kafka_python_commits_aborts_and_sends_offsets(
    bootstrap: str, new_topic: Callable, fresh_name: Callable, eventually: Callable
) -> None:
    source, target, group = new_topic(), new_topic(), fresh_name()
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=fresh_name())
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        producer.init_transactions()
        for offset, commits in ((3, True), (5, False), (7, True)):
            producer.begin_transaction()
            for index in range(2):
                producer.send(target, f"{offset}-{index}".encode(), partition=0)
            positions = {TopicPartition(source, 0): OffsetAndMetadata(offset, "", -1)}
            producer.send_offsets_to_transaction(positions, group)
            if commits:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
        partition = TopicPartition(target, 0)
        consumer.assign([partition])
        values: list[bytes] = []

        def poll() -> None:
            for records in consumer.poll(timeout_ms=200).values():
                values.extend(record.value for record in records)

        eventually("all that is committed is read", lambda: len(values) >= 4, poll)
        assert values == [b"3-0", b"3-1", b"7-0", b"7-1"]
        assert consumer.committed(TopicPartition(source, 0)) == 7
    finally:
        producer.close()
        consumer.close()
