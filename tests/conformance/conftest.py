"""Other people's programs against our broker in a process of its own.

MAINSTEM_CONFORMANCE_BROKER=kafka runs them on Apache Kafka instead: what fails there is wrong in the test.
"""

import os
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers.kafka_node import KafkaNode
from peers.mainstem_node import MainstemNode
from peers.node import BrokerNode
from peers.programs import build_go_programs, install_node_programs
from peers.tools import KafkaTools

_OVERRIDES = {
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    # Members that a test kills are soon given up.
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "1000",
    "group.consumer.heartbeat.interval.ms": "1000",
}


@pytest.fixture(scope="session")
def new_node() -> Callable[[], BrokerNode]:
    """Makes a broker of the kind under test, not yet started."""
    wanted = os.environ.get("MAINSTEM_CONFORMANCE_BROKER", "mainstem")
    kinds = {"mainstem": MainstemNode, "kafka": KafkaNode}
    assert wanted in kinds, f"MAINSTEM_CONFORMANCE_BROKER={wanted}: allowed are {', '.join(kinds)}"
    return lambda: kinds[wanted](overrides=_OVERRIDES)


@pytest.fixture(scope="session")
def node(new_node: Callable[[], BrokerNode]) -> Iterator[BrokerNode]:
    """The broker under test, shared by all tests."""
    with new_node() as started:
        yield started


@pytest.fixture(scope="session")
def kafka_node() -> Iterator[KafkaNode]:
    """A real Apache Kafka to compare with."""
    with KafkaNode(overrides=_OVERRIDES) as started:
        yield started


@pytest.fixture(scope="session")
def bootstrap(node: BrokerNode) -> str:
    return node.bootstrap


@pytest.fixture(scope="session")
def tools(bootstrap: str) -> KafkaTools:
    """Apache Kafka's own command line tools against the broker under test."""
    return KafkaTools(bootstrap)


@pytest.fixture(scope="session")
def admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap})


@pytest.fixture(scope="session")
def go_programs() -> Path:
    return build_go_programs()


@pytest.fixture(scope="session")
def node_programs() -> Path:
    return install_node_programs()


@pytest.fixture
def fresh_name(request: pytest.FixtureRequest) -> Callable[[], str]:
    stem = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).strip("-")[:60]
    return lambda: f"{stem}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def new_topic(admin: AdminClient, fresh_name: Callable[[], str]) -> Callable[..., str]:
    """Creates a topic of the given number of partitions and configs, and returns its name."""

    def create(partitions: int = 1, config: dict[str, str] | None = None) -> str:
        name = fresh_name()
        admin.create_topics([NewTopic(name, partitions, 1, config=config or {})])[name].result(60)
        return name

    return create


@pytest.fixture
def numbers() -> list[int]:
    return list(range(60))


@pytest.fixture
def numbers_topic(bootstrap: str, new_topic: Callable[..., str], numbers: list[int]) -> str:
    """A topic of three partitions with `numbers`, each its own key."""
    topic = new_topic(3)
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in numbers:
        producer.produce(topic, key=f"{n}", value=f"{n}")
    assert producer.flush(30) == 0
    return topic
