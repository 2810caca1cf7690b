"""confluent-kafka (librdkafka): where a partition begins and ends, what lies at a time, and going there."""

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

TIMEOUT_S = 30
START_MS = 1_700_000_000_000


@pytest.fixture
def consumer(bootstrap: str) -> Iterator[Consumer]:
    opened = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
        }
    )
    yield opened
    opened.close()


@pytest.fixture
def numbered_topic(bootstrap: str, new_topic: Callable[..., str]) -> str:
    """Offsets 0 to 99 hold "0" to "99", a second apart, in batches of ten."""
    topic = new_topic(2)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1_000})
    for n in range(100):
        producer.produce(topic, f"{n}", partition=0, timestamp=START_MS + 1_000 * n)
        if n % 10 == 9:
            assert producer.flush(TIMEOUT_S) == 0, "messages were left undelivered"
    return topic


def next_value(consumer: Consumer) -> str | None:
    """The value of the next message, None at the end of the partition."""
    message = consumer.poll(TIMEOUT_S)
    assert message is not None, "neither a message nor the end of the partition"
    if message.error() is not None:
        assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
        return None
    return message.value().decode()


def test_watermarks_are_the_first_and_the_next_offset(consumer, numbered_topic):
    assert consumer.get_watermark_offsets(TopicPartition(numbered_topic, 0), TIMEOUT_S) == (0, 100)
    assert consumer.get_watermark_offsets(TopicPartition(numbered_topic, 1), TIMEOUT_S) == (0, 0)


@pytest.mark.parametrize(
    ("timestamp_ms", "offset"),
    [
        (0, 0),
        (START_MS, 0),
        (START_MS + 1, 1),
        (START_MS + 34_000, 34),
        (START_MS + 34_001, 35),
        (START_MS + 99_000, 99),
    ],
)
def test_the_offset_of_a_time_is_the_first_record_not_before_it(consumer, numbered_topic, timestamp_ms, offset):
    (found,) = consumer.offsets_for_times([TopicPartition(numbered_topic, 0, timestamp_ms)], TIMEOUT_S)

    assert found.offset == offset


def test_a_time_after_the_last_record_has_no_offset(consumer, numbered_topic):
    asked = [
        TopicPartition(numbered_topic, 0, START_MS + 99_001),
        TopicPartition(numbered_topic, 1, START_MS),
    ]

    found = consumer.offsets_for_times(asked, TIMEOUT_S)

    assert [each.offset for each in found] == [OFFSET_END, OFFSET_END]


def test_seeking_moves_the_next_record_forward_and_back(consumer, numbered_topic):
    consumer.assign([TopicPartition(numbered_topic, 0, OFFSET_BEGINNING)])
    read = [next_value(consumer)]
    for offset in (70, 15, OFFSET_BEGINNING, 99, 100):
        consumer.seek(TopicPartition(numbered_topic, 0, offset))
        read.append(next_value(consumer))

    assert read == ["0", "70", "15", "0", "99", None]


def test_a_reader_at_the_end_gets_what_comes_after(bootstrap, consumer, numbered_topic):
    consumer.assign([TopicPartition(numbered_topic, 0, OFFSET_END)])
    assert next_value(consumer) is None
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(numbered_topic, "new", partition=0)

    assert next_value(consumer) == "new"
    producer.flush(TIMEOUT_S)


@pytest.mark.parametrize("offset", [101, 5_000_000_000])
def test_an_offset_beyond_the_end_is_out_of_range(consumer, numbered_topic, offset):
    consumer.assign([TopicPartition(numbered_topic, 0, offset)])

    message = consumer.poll(TIMEOUT_S)

    assert message.error().code() == KafkaError._AUTO_OFFSET_RESET
    assert "out of range" in message.error().str()


@pytest.mark.parametrize(("reset", "value"), [("earliest", "0"), ("latest", None)])
def test_a_reader_out_of_range_follows_its_reset_policy(bootstrap, numbered_topic, reset, value):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "auto.offset.reset": reset,
            "enable.partition.eof": True,
        }
    )
    try:
        consumer.assign([TopicPartition(numbered_topic, 0, 4_711)])
        assert next_value(consumer) == value
    finally:
        consumer.close()


def test_listed_offsets_agree_for_every_kind_of_question(admin: AdminClient, numbered_topic):
    partition = TopicPartition(numbered_topic, 0)
    questions = {
        "earliest": OffsetSpec.earliest(),
        "latest": OffsetSpec.latest(),
        "max": OffsetSpec.max_timestamp(),
        "time": OffsetSpec.for_timestamp(START_MS + 34_001),
    }

    answers = {
        name: admin.list_offsets({partition: question})[partition].result(TIMEOUT_S)
        for name, question in questions.items()
    }

    assert {name: answer.offset for name, answer in answers.items()} == {
        "earliest": 0,
        "latest": 100,
        "max": 99,
        "time": 35,
    }
    assert answers["max"].timestamp == START_MS + 99_000
    assert answers["time"].timestamp == START_MS + 35_000
