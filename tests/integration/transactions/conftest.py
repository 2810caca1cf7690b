"""A raw connection to the broker under test, a topic of two partitions, a group and a transactional id with their coordinators."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

sys.path.insert(0, str(Path(__file__).resolve().parent))

from raw_connection import Deadline
from transaction_client import Client


@pytest.fixture
def client(bootstrap: str) -> Iterator[Client]:
    made = Client(bootstrap)
    yield made
    made.close()


@pytest.fixture
def topic(admin: AdminClient, fresh_name: Callable[[], str]) -> str:
    name = fresh_name()
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(20)
    # Kafka answers before the partitions have a leader.
    latest = {TopicPartition(name, p): OffsetSpec.latest() for p in (0, 1)}
    deadline = Deadline("leaders of the partitions")
    while True:
        deadline.check()
        try:
            for found in admin.list_offsets(latest).values():
                found.result(20)
        except KafkaException:
            continue
        break
    return name


@pytest.fixture
def transactional_id(client: Client, fresh_name: Callable[[], str]) -> str:
    name = fresh_name()
    client.coordinator(name, 1)
    return name


@pytest.fixture
def group(client: Client, fresh_name: Callable[[], str]) -> str:
    name = fresh_name()
    client.coordinator(name, 0)
    return name
