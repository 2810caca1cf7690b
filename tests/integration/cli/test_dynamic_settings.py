"""Settings that are changed while the broker runs take effect without a restart."""

from __future__ import annotations

from confluent_kafka import KafkaError, Producer

from .conftest import Run


def send(bootstrap: str, topic: str, size: int) -> str | None:
    """The name of the error the broker answers with, None if it took the record."""
    answers: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, b"x" * size, on_delivery=lambda error, _: answers.append(error))
    producer.flush()
    (error,) = answers
    return error.name() if error is not None else None


def test_defaults_of_all_brokers_reach_existing_and_new_topics(mainstem: Run, bootstrap: str) -> None:
    mainstem("topics --create --topic before")
    mainstem("topics --create --topic own --config max.message.bytes=5000")
    assert send(bootstrap, "before", 1000) is None
    mainstem("configs --alter --broker-defaults --add-config message.max.bytes=500")
    mainstem("topics --create --topic after")
    sent = {topic: send(bootstrap, topic, 1000) for topic in ("before", "after", "own")}
    assert sent == {"before": "MSG_SIZE_TOO_LARGE", "after": "MSG_SIZE_TOO_LARGE", "own": None}
    mainstem("configs --alter --broker 1 --add-config message.max.bytes=2000")
    assert send(bootstrap, "before", 1000) is None
    mainstem("configs --alter --broker 1 --delete-config message.max.bytes")
    mainstem("configs --alter --broker-defaults --delete-config message.max.bytes")
    assert send(bootstrap, "after", 1000) is None
