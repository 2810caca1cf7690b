"""Kafka's own Java clients: consume-transform-produce in transactions, with aborts and a crash in the middle of one."""

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from peers.java_programs import run_java

pytestmark = pytest.mark.conformance

CRASHED = 42
RECORDS = 60
RUN_TIMEOUT_S = 90


def read_all(bootstrap: str, topic: str, partitions: int, isolation: str) -> list[tuple[str, str]]:
    """Everything a reader of that isolation level sees up to the end of now."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "not used",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": isolation,
    }
    consumer = Consumer(settings)
    try:
        consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        found, ended = [], set()
        while len(ended) < partitions:
            message = consumer.poll(30)
            assert message is not None, f"{topic} did not end in time, {len(found)} records so far"
            if message.error():
                ended.add(message.partition())
            else:
                found.append((message.key().decode(), message.value().decode()))
        return found
    finally:
        consumer.close()


@pytest.fixture
def filled_topic(bootstrap: str, new_topic: Callable[..., str]) -> str:
    topic = new_topic(3)
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(RECORDS):
        producer.produce(topic, key=f"{n}", value=f"{n}")
    assert producer.flush(30) == 0
    return topic


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.timeout(300)
def test_exactly_once_over_aborts_and_a_crash(
    bootstrap: str, filled_topic: str, new_topic: Callable[..., str], fresh_name: Callable[[], str], protocol: str
):
    output, name = new_topic(2), fresh_name()
    arguments = [bootstrap, filled_topic, output, f"{name}-group", name, protocol]

    crashed = run_java("ConsumeTransformProduce", [*arguments, "5"], timeout_s=RUN_TIMEOUT_S)
    assert crashed.returncode == CRASHED, crashed.stderr
    finished = run_java("ConsumeTransformProduce", [*arguments, "0"], timeout_s=RUN_TIMEOUT_S)
    assert finished.returncode == 0, finished.stderr

    wanted = sorted((f"{n}", f"{2 * n}") for n in range(RECORDS))
    assert sorted(read_all(bootstrap, output, 2, "read_committed")) == wanted
    # The aborted records and those of the crash are there for whoever wants to see them.
    assert len(read_all(bootstrap, output, 2, "read_uncommitted")) > RECORDS
