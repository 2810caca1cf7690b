"""A broker of each test's own, with faults, and the clients of other people."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from mainstem import Broker, Faults

WAIT_S = 60.0


@pytest.fixture
def broker() -> Iterator[Broker]:
    config = {"offsets.topic.num.partitions": 1, "metrics.port": 0, "faults.enable": True}
    with Broker(storage="memory", config=config, faults=Faults(seed=7)) as running:
        admin = AdminClient({"bootstrap.servers": running.bootstrap_servers})
        admin.create_topics([NewTopic("t", 2, 1)])["t"].result(WAIT_S)
        yield running


@pytest.fixture
def new_producer(broker: Broker) -> Callable[..., Producer]:
    def make(**settings: object) -> Producer:
        names = {name.replace("_", "."): value for name, value in settings.items()}
        quick = {"retry.backoff.ms": 10, "retry.backoff.max.ms": 50, "reconnect.backoff.ms": 10}
        return Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0, **quick, **names})

    return make


@pytest.fixture
def new_consumer(broker: Broker) -> Iterator[Callable[..., Consumer]]:
    opened: list[Consumer] = []

    def make(**settings: object) -> Consumer:
        names = {name.replace("_", "."): value for name, value in settings.items()}
        base = {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "g",
            "auto.offset.reset": "earliest",
            "heartbeat.interval.ms": 100,
            "session.timeout.ms": 10_000,
            "reconnect.backoff.ms": 10,
            "log_level": 0,
        }
        consumer = Consumer({**base, **names})
        opened.append(consumer)
        return consumer

    yield make
    for consumer in opened:
        consumer.close()


@pytest.fixture
def send(new_producer: Callable[..., Producer]) -> Callable[..., list[KafkaError | None]]:
    """Sends records one after the other and returns what became of each."""

    def sending(values: list[bytes], partition: int = 0, **settings: object) -> list[KafkaError | None]:
        answers: list[KafkaError | None] = []
        producer = new_producer(**settings)
        for value in values:
            producer.produce("t", value, partition=partition, on_delivery=lambda error, _: answers.append(error))
            producer.flush(WAIT_S)
        return answers

    return sending
