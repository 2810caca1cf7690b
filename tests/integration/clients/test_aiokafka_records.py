"""aiokafka: what goes in comes out, in every codec, with every acks; and how a partition is navigated."""

import asyncio
import random
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, OffsetOutOfRangeError

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]
TIMEOUT_S = 60
START_MS = 1_700_000_000_000


@pytest.fixture
def samples(samples: list) -> list:
    """Without the record that has neither key nor value, which aiokafka refuses to send."""
    return [sample for sample in samples if (sample.key, sample.value) != (None, None)]


async def read(bootstrap: str, topic: str, count: int, *, offset: int = 0, **settings: object) -> list[ConsumerRecord]:
    """Read `count` records of partition 0 from an offset, without a group."""
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, **settings) as consumer:
        consumer.assign([partition])
        consumer.seek(partition, offset)
        async with asyncio.timeout(TIMEOUT_S):
            return [await consumer.getone() for _ in range(count)]


async def produce_samples(bootstrap: str, topic: str, samples: list, **settings: object) -> list:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, **settings) as producer:
        sent = [
            await producer.send(
                topic,
                key=sample.key,
                value=sample.value,
                headers=list(sample.headers),
                timestamp_ms=sample.timestamp_ms,
                partition=0,
            )
            for sample in samples
        ]
        return await asyncio.gather(*sent)


@pytest.mark.parametrize("acks", [0, 1, "all"])
@pytest.mark.parametrize("codec", CODECS)
async def test_records_come_back_as_they_were_sent(bootstrap, new_topic, samples, codec, acks):
    topic = new_topic()
    await produce_samples(bootstrap, topic, samples, compression_type=codec, acks=acks)

    records = await read(bootstrap, topic, len(samples))

    shown = [(record.key, record.value, record.headers, record.timestamp) for record in records]
    assert shown == [(each.key, each.value, each.headers, each.timestamp_ms) for each in samples]
    assert [record.offset for record in records] == list(range(len(samples)))
    assert {record.timestamp_type for record in records} == {0}


@pytest.mark.parametrize("settings", [{"acks": 1}, {"acks": "all"}, {"enable_idempotence": True}])
async def test_acknowledged_records_carry_their_offsets(bootstrap, new_topic, samples, settings):
    topic = new_topic()

    first = await produce_samples(bootstrap, topic, samples, **settings)
    second = await produce_samples(bootstrap, topic, samples, **settings)

    assert [each.offset for each in first + second] == list(range(2 * len(samples)))


async def test_the_broker_stamps_records_of_a_log_append_time_topic(bootstrap, new_topic, samples):
    topic = new_topic(config={"message.timestamp.type": "LogAppendTime"})
    sent = await produce_samples(bootstrap, topic, samples)

    records = await read(bootstrap, topic, len(samples))

    assert {record.timestamp_type for record in records} == {1}
    assert [record.timestamp for record in records] == [each.timestamp for each in sent]
    assert not {record.timestamp for record in records} & {sample.timestamp_ms for sample in samples}


@pytest.mark.parametrize("codec", CODECS[1:])
async def test_the_limit_of_the_topic_counts_compressed_bytes(bootstrap, new_topic, codec):
    topic = new_topic(config={"max.message.bytes": "10000"})
    value = b"\x00" * 100_000
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as plain:
        with pytest.raises(MessageSizeTooLargeError):
            await plain.send_and_wait(topic, value)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec) as compressing:
        await compressing.send_and_wait(topic, value)

    assert [record.value for record in await read(bootstrap, topic, 1)] == [value]


async def test_a_record_larger_than_every_fetch_limit_is_still_delivered(bootstrap, new_topic):
    topic = new_topic(config={"max.message.bytes": "8388608"})
    large = random.Random(20250118).randbytes(5_000_000)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=8_000_000) as producer:
        for value in (b"small", large, b"after"):
            await producer.send_and_wait(topic, value)

    records = await read(bootstrap, topic, 3, fetch_max_bytes=10_000, max_partition_fetch_bytes=1_000)

    assert [record.value for record in records] == [b"small", large, b"after"]


async def test_an_idempotent_producer_with_batches_in_flight_keeps_order(bootstrap, new_topic):
    topic = new_topic()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=400) as producer:
        sent = [await producer.send(topic, f"{n}".encode(), partition=0) for n in range(2_000)]
        metadata = await asyncio.gather(*sent)

    assert [each.offset for each in metadata] == list(range(2_000))
    records = await read(bootstrap, topic, 2_000)
    assert [record.value for record in records] == [f"{n}".encode() for n in range(2_000)]


async def test_a_topic_nobody_created_is_created_by_producing_to_it(bootstrap, fresh_name):
    topic = fresh_name()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        async with asyncio.timeout(TIMEOUT_S):
            metadata = await producer.send_and_wait(topic, b"first")

    assert (metadata.partition, metadata.offset) == (0, 0)


@pytest.fixture
async def numbered_topic(bootstrap: str, new_topic: Callable[..., str]) -> str:
    """Offsets 0 to 99 hold "0" to "99", a second apart, in batches of ten."""
    topic = new_topic(2)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for start in range(0, 100, 10):
            batch = producer.create_batch()
            for n in range(start, start + 10):
                batch.append(key=None, value=f"{n}".encode(), timestamp=START_MS + 1_000 * n)
            await (await producer.send_batch(batch, topic, partition=0))
    return topic


async def test_beginning_and_end_and_the_offsets_of_times(bootstrap, numbered_topic):
    filled, empty = TopicPartition(numbered_topic, 0), TopicPartition(numbered_topic, 1)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        beginnings = await consumer.beginning_offsets([filled, empty])
        ends = await consumer.end_offsets([filled, empty])
        inside = await consumer.offsets_for_times({filled: START_MS + 34_001, empty: START_MS})
        after = await consumer.offsets_for_times({filled: START_MS + 99_001})

    assert beginnings == {filled: 0, empty: 0}
    assert ends == {filled: 100, empty: 0}
    assert (inside[filled].offset, inside[filled].timestamp) == (35, START_MS + 35_000)
    assert inside[empty] is None
    assert after[filled] is None


async def test_seeking_moves_the_next_record_forward_and_back(bootstrap, numbered_topic):
    partition = TopicPartition(numbered_topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer, asyncio.timeout(TIMEOUT_S):
        consumer.assign([partition])
        read = []
        for offset in (70, 15, 99, 0):
            consumer.seek(partition, offset)
            read.append((await consumer.getone()).offset)
        await consumer.seek_to_end(partition)
        end = await consumer.position(partition)
        await consumer.seek_to_beginning(partition)
        read.append((await consumer.getone()).offset)

    assert (read, end) == ([70, 15, 99, 0, 0], 100)


async def test_an_offset_beyond_the_end_is_out_of_range(bootstrap, numbered_topic):
    with pytest.raises(OffsetOutOfRangeError):
        await read(bootstrap, numbered_topic, 1, offset=4_711, auto_offset_reset="none")


async def test_a_waiting_reader_gets_a_record_when_it_is_written(bootstrap, new_topic):
    """Long polling: the fetch is already waiting at the broker when the record comes."""
    topic = new_topic()
    partition = TopicPartition(topic, 0)
    async with (
        AIOKafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=30_000) as consumer,
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
    ):
        consumer.assign([partition])
        await consumer.seek_to_end(partition)
        waiting = asyncio.create_task(consumer.getone())
        for n in range(5):
            await producer.send_and_wait(topic, f"{n}".encode())
            async with asyncio.timeout(20):
                assert (await waiting).value == f"{n}".encode()
            waiting = asyncio.create_task(consumer.getone())
        waiting.cancel()
