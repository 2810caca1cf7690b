"""confluent-kafka (librdkafka): what goes in comes out, in every codec, with every acks."""

import random
from collections.abc import Callable

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
FLUSH_TIMEOUT_S = 60.0

OnDelivery = Callable[[KafkaError | None, Message], None]


def deliver(producer: Producer, send: Callable[[OnDelivery], object]) -> list[Message]:
    """Run `send` with a delivery callback and flush; return what was delivered, raise what was refused."""
    delivered: list[Message] = []
    refused: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is None:
            delivered.append(message)
        else:
            refused.append(error)

    send(on_delivery)
    assert producer.flush(FLUSH_TIMEOUT_S) == 0, "messages were left undelivered"
    if refused:
        raise KafkaException(refused[0])
    return delivered


def read(
    bootstrap: str, topic: str, count: int, *, offset: int = OFFSET_BEGINNING, **settings: object
) -> list[Message]:
    """Read `count` messages of partition 0 from an offset, without a group."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, **settings})
    try:
        consumer.assign([TopicPartition(topic, 0, offset)])
        messages: list[Message] = []
        while len(messages) < count:
            message = consumer.poll(FLUSH_TIMEOUT_S)
            assert message is not None, f"{len(messages)} of {count} messages came"
            assert message.error() is None, message.error()
            messages.append(message)
        return messages
    finally:
        consumer.close()


def produce_samples(producer: Producer, topic: str, samples: list) -> list[Message]:
    def send(on_delivery: OnDelivery) -> None:
        for sample in samples:
            producer.produce(
                topic,
                key=sample.key,
                value=sample.value,
                headers=list(sample.headers),
                timestamp=sample.timestamp_ms,
                partition=0,
                on_delivery=on_delivery,
            )

    return deliver(producer, send)


@pytest.mark.parametrize("acks", ["0", "1", "all"])
@pytest.mark.parametrize("codec", CODECS)
def test_records_come_back_as_they_were_sent(bootstrap, new_topic, samples, codec, acks):
    topic = new_topic()
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "acks": acks, "linger.ms": 20})
    produce_samples(producer, topic, samples)

    messages = read(bootstrap, topic, len(samples))

    assert [message.offset() for message in messages] == list(range(len(samples)))
    assert [message.key() for message in messages] == [sample.key for sample in samples]
    assert [message.value() for message in messages] == [sample.value for sample in samples]
    assert [message.headers() or [] for message in messages] == [list(sample.headers) for sample in samples]
    expected = [(TIMESTAMP_CREATE_TIME, sample.timestamp_ms) for sample in samples]
    assert [message.timestamp() for message in messages] == expected


@pytest.mark.parametrize("acks", ["1", "all"])
def test_acknowledged_messages_carry_their_offsets(bootstrap, new_topic, samples, acks):
    topic = new_topic()
    producer = Producer({"bootstrap.servers": bootstrap, "acks": acks})

    first = produce_samples(producer, topic, samples)
    second = produce_samples(producer, topic, samples)

    offsets = [message.offset() for message in first + second]
    assert offsets == list(range(2 * len(samples)))


def test_log_append_time_replaces_the_timestamps_of_the_client(bootstrap, new_topic, samples):
    topic = new_topic(config={"message.timestamp.type": "LogAppendTime"})
    produce_samples(Producer({"bootstrap.servers": bootstrap, "linger.ms": 20}), topic, samples)

    timestamps = [message.timestamp() for message in read(bootstrap, topic, len(samples))]

    assert {kind for kind, _ in timestamps} == {TIMESTAMP_LOG_APPEND_TIME}
    sent = {sample.timestamp_ms for sample in samples}
    assert not sent & {timestamp_ms for _, timestamp_ms in timestamps}


def test_a_reader_that_starts_inside_a_batch_begins_at_its_offset(bootstrap, new_topic):
    """The broker has to send the whole batch and leave the cutting to the client."""
    topic = new_topic()
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1_000, "compression.type": "lz4"})
    deliver(
        producer,
        lambda done: [producer.produce(topic, f"{n}", partition=0, on_delivery=done) for n in range(50)],
    )

    messages = read(bootstrap, topic, 13, offset=37)

    assert [message.value() for message in messages] == [f"{n}".encode() for n in range(37, 50)]


def test_a_message_larger_than_every_fetch_limit_is_still_delivered(bootstrap, new_topic):
    """KIP-74: the first batch of an answer may exceed the limits, else its reader would never get past it."""
    topic = new_topic(config={"max.message.bytes": "8388608"})
    large = random.Random(20250117).randbytes(5_000_000)
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 8_000_000})

    deliver(
        producer,
        lambda done: [producer.produce(topic, value, on_delivery=done) for value in (b"small", large, b"after")],
    )

    limits = {
        "fetch.max.bytes": 1_000_000,
        "max.partition.fetch.bytes": 1_000,
        "message.max.bytes": 1_000_000,
    }
    messages = read(bootstrap, topic, 3, **limits)
    assert [message.value() for message in messages] == [b"small", large, b"after"]


def test_a_message_beyond_the_limit_of_the_topic_is_refused_and_others_are_not(bootstrap, new_topic):
    topic = new_topic(config={"max.message.bytes": "10000"})
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": False})

    with pytest.raises(KafkaException) as refusal:
        deliver(producer, lambda done: producer.produce(topic, b"\x00" * 20_000, on_delivery=done))
    deliver(producer, lambda done: producer.produce(topic, b"fits", on_delivery=done))

    assert refusal.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert [message.value() for message in read(bootstrap, topic, 1)] == [b"fits"]


@pytest.mark.parametrize("codec", CODECS[1:])
def test_the_limit_of_the_topic_counts_compressed_bytes(bootstrap, new_topic, codec):
    """Proves that the codec was in use on the wire: as it is, the value would not fit."""
    topic = new_topic(config={"max.message.bytes": "10000"})
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec})

    deliver(producer, lambda done: producer.produce(topic, b"\x00" * 100_000, on_delivery=done))

    assert [message.value() for message in read(bootstrap, topic, 1)] == [b"\x00" * 100_000]


@pytest.mark.parametrize("codec", CODECS)
def test_an_idempotent_producer_with_batches_in_flight_keeps_order(bootstrap, new_topic, codec):
    topic = new_topic()
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": codec,
            "batch.num.messages": 20,
            "linger.ms": 0,
        }
    )
    delivered = deliver(
        producer,
        lambda done: [producer.produce(topic, f"{n}", partition=0, on_delivery=done) for n in range(3_000)],
    )

    assert [message.offset() for message in delivered] == list(range(3_000))
    values = [message.value() for message in read(bootstrap, topic, 3_000)]
    assert values == [f"{n}".encode() for n in range(3_000)]


def test_idempotent_producers_beside_each_other_do_not_disturb_each_other(bootstrap, new_topic):
    topic = new_topic()
    producers = [Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True}) for _ in range(4)]

    def send(done: OnDelivery) -> None:
        for n in range(250):
            for each, producer in enumerate(producers):
                producer.produce(topic, f"{each}:{n}", partition=0, on_delivery=done)
        for producer in producers[1:]:
            assert producer.flush(FLUSH_TIMEOUT_S) == 0, "messages were left undelivered"

    assert len(deliver(producers[0], send)) == 1_000

    values = [message.value().decode() for message in read(bootstrap, topic, 1_000)]
    for each in range(4):
        assert [value for value in values if value.startswith(f"{each}:")] == [f"{each}:{n}" for n in range(250)]


def test_a_topic_nobody_created_is_created_by_producing_to_it(bootstrap, fresh_name):
    topic = fresh_name()
    producer = Producer({"bootstrap.servers": bootstrap, "topic.metadata.refresh.interval.ms": 200})

    deliver(producer, lambda done: producer.produce(topic, b"first", on_delivery=done))

    assert [message.value() for message in read(bootstrap, topic, 1)] == [b"first"]


@pytest.mark.parametrize("name", ["white space", "slash/ed", "a" * 250, ".."])
def test_a_topic_name_kafka_does_not_allow_is_refused(bootstrap, name):
    producer = Producer({"bootstrap.servers": bootstrap})

    with pytest.raises(KafkaException) as refusal:
        deliver(producer, lambda done: producer.produce(name, b"value", on_delivery=done))

    assert refusal.value.args[0].code() == KafkaError.TOPIC_EXCEPTION
