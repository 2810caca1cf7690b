"""kafka-python: what goes in comes out, in every codec, with every acks; and how a partition is navigated."""

import random
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import MessageSizeTooLargeError, OffsetOutOfRangeError

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]
TIMEOUT_S = 60
START_MS = 1_700_000_000_000


@pytest.fixture
def samples(samples: list) -> list:
    """Without what kafka-python refuses to send: a null header, and neither a key nor a value."""
    sendable = [sample for sample in samples if (sample.key, sample.value) != (None, None)]
    return [sample for sample in sendable if all(value is not None for _, value in sample.headers)]


@pytest.fixture
def connect(bootstrap: str) -> Iterator[Callable]:
    """Makes producers and consumers that are closed at the end of the test."""
    opened = []

    def make(kind: type, **settings: object):
        opened.append(kind(bootstrap_servers=bootstrap, **settings))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


def poll_records(consumer: KafkaConsumer, count: int, eventually: Callable) -> list:
    records: list = []

    def step() -> None:
        for batch in consumer.poll(timeout_ms=500).values():
            records.extend(batch)

    eventually(f"{count} records came", lambda: len(records) >= count, step)
    return records


@pytest.fixture
def read(connect: Callable, eventually: Callable) -> Callable[..., list]:
    """Reads `count` records of partition 0 from an offset, without a group."""

    def read_partition(topic: str, count: int, *, offset: int = 0, **settings: object) -> list:
        consumer = connect(KafkaConsumer, **settings)
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), offset)
        return poll_records(consumer, count, eventually)

    return read_partition


def send_samples(producer: KafkaProducer, topic: str, samples: list) -> list:
    sent = [
        producer.send(
            topic,
            key=sample.key,
            value=sample.value,
            headers=list(sample.headers),
            timestamp_ms=sample.timestamp_ms,
            partition=0,
        )
        for sample in samples
    ]
    return [future.get(TIMEOUT_S) for future in sent]


@pytest.mark.parametrize("acks", [0, 1, "all"])
@pytest.mark.parametrize("codec", CODECS)
def test_records_come_back_as_they_were_sent(connect, read, new_topic, samples, codec, acks):
    topic = new_topic()
    idempotent = {} if acks == "all" else {"enable_idempotence": False}
    producer = connect(KafkaProducer, compression_type=codec, acks=acks, linger_ms=20, **idempotent)
    send_samples(producer, topic, samples)
    producer.flush(TIMEOUT_S)

    records = read(topic, len(samples))

    shown = [(record.key, record.value, tuple(record.headers), record.timestamp) for record in records]
    assert shown == [(each.key, each.value, each.headers, each.timestamp_ms) for each in samples]
    assert [record.offset for record in records] == list(range(len(samples)))
    assert {record.timestamp_type for record in records} == {0}


@pytest.mark.parametrize("settings", [{"acks": 1, "enable_idempotence": False}, {"acks": "all"}])
def test_acknowledged_records_carry_their_offsets(connect, new_topic, samples, settings):
    topic = new_topic()
    producer = connect(KafkaProducer, **settings)

    metadata = send_samples(producer, topic, samples) + send_samples(producer, topic, samples)

    assert [each.offset for each in metadata] == list(range(2 * len(samples)))


def test_the_broker_stamps_records_of_a_log_append_time_topic(connect, read, new_topic, samples):
    topic = new_topic(config={"message.timestamp.type": "LogAppendTime"})
    sent = send_samples(connect(KafkaProducer), topic, samples)

    records = read(topic, len(samples))

    assert {record.timestamp_type for record in records} == {1}
    assert [record.timestamp for record in records] == [each.timestamp for each in sent]


@pytest.mark.parametrize("codec", CODECS[1:])
def test_the_limit_of_the_topic_counts_compressed_bytes(connect, read, new_topic, codec):
    topic = new_topic(config={"max.message.bytes": "10000"})
    value = b"\x00" * 100_000
    with pytest.raises(MessageSizeTooLargeError):
        connect(KafkaProducer).send(topic, value).get(TIMEOUT_S)

    connect(KafkaProducer, compression_type=codec).send(topic, value).get(TIMEOUT_S)

    assert [record.value for record in read(topic, 1)] == [value]


def test_a_record_larger_than_every_fetch_limit_is_still_delivered(connect, read, new_topic):
    topic = new_topic(config={"max.message.bytes": "8388608"})
    large = random.Random(20250119).randbytes(5_000_000)
    producer = connect(KafkaProducer, max_request_size=8_000_000)
    for value in (b"small", large, b"after"):
        producer.send(topic, value).get(TIMEOUT_S)

    records = read(topic, 3, fetch_max_bytes=10_000, max_partition_fetch_bytes=1_000)

    assert [record.value for record in records] == [b"small", large, b"after"]


def test_an_idempotent_producer_with_batches_in_flight_keeps_order(connect, read, new_topic):
    topic = new_topic()
    producer = connect(KafkaProducer, batch_size=400)

    sent = [producer.send(topic, f"{n}".encode(), partition=0) for n in range(2_000)]

    assert [future.get(TIMEOUT_S).offset for future in sent] == list(range(2_000))
    assert [record.value for record in read(topic, 2_000)] == [f"{n}".encode() for n in range(2_000)]


def test_a_topic_nobody_created_is_created_by_producing_to_it(connect, read, fresh_name):
    topic = fresh_name()

    metadata = connect(KafkaProducer).send(topic, b"first").get(TIMEOUT_S)

    assert (metadata.partition, metadata.offset) == (0, 0)
    assert [record.value for record in read(topic, 1)] == [b"first"]


@pytest.fixture
def numbered_topic(connect: Callable, new_topic: Callable[..., str]) -> str:
    """Offsets 0 to 99 hold "0" to "99", a second apart, in several batches."""
    topic = new_topic(2)
    producer = connect(KafkaProducer, linger_ms=5)
    for n in range(100):
        producer.send(topic, f"{n}".encode(), partition=0, timestamp_ms=START_MS + 1_000 * n)
        if n % 10 == 9:
            producer.flush(TIMEOUT_S)
    return topic


def test_beginning_and_end_and_the_offsets_of_times(connect, numbered_topic):
    filled, empty = TopicPartition(numbered_topic, 0), TopicPartition(numbered_topic, 1)
    consumer = connect(KafkaConsumer)

    assert consumer.beginning_offsets([filled, empty]) == {filled: 0, empty: 0}
    assert consumer.end_offsets([filled, empty]) == {filled: 100, empty: 0}
    inside = consumer.offsets_for_times({filled: START_MS + 34_001, empty: START_MS})
    assert (inside[filled].offset, inside[filled].timestamp) == (35, START_MS + 35_000)
    assert inside[empty] is None
    assert consumer.offsets_for_times({filled: START_MS + 99_001})[filled] is None


def test_seeking_moves_the_next_record_forward_and_back(connect, eventually, numbered_topic):
    partition = TopicPartition(numbered_topic, 0)
    consumer = connect(KafkaConsumer, max_poll_records=1)
    consumer.assign([partition])
    read = []
    for offset in (70, 15, 99, 0):
        consumer.seek(partition, offset)
        read.append(poll_records(consumer, 1, eventually)[0].offset)
    consumer.seek_to_end(partition)
    end = consumer.position(partition)
    consumer.seek_to_beginning(partition)
    read.append(poll_records(consumer, 1, eventually)[0].offset)

    assert (read, end) == ([70, 15, 99, 0, 0], 100)


def test_an_offset_beyond_the_end_is_out_of_range(read, numbered_topic):
    with pytest.raises(OffsetOutOfRangeError):
        read(numbered_topic, 1, offset=4_711, auto_offset_reset="none")


def test_an_incremental_fetch_session_delivers_what_comes_later(connect, eventually, new_topic):
    """KIP-227: after the first fetch of a session the client names only what changed."""
    topic = new_topic(3)
    partitions = [TopicPartition(topic, n) for n in range(3)]
    consumer, producer = connect(KafkaConsumer), connect(KafkaProducer)
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    received = []
    for round_number in range(5):
        for partition in range(3):
            producer.send(topic, f"{round_number}:{partition}".encode(), partition=partition).get(TIMEOUT_S)
            received += poll_records(consumer, 1, eventually)
        consumer.pause(partitions[0])
        consumer.resume(partitions[0])

    shown = [(record.value.decode(), record.partition, record.offset) for record in received]
    assert shown == [(f"{n}:{partition}", partition, n) for n in range(5) for partition in range(3)]
