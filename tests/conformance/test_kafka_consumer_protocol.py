"""Kafka's own tools on groups of the consumer protocol (KIP-848)."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, Producer

pytestmark = pytest.mark.conformance

TIMEOUT_S = 60


@pytest.fixture
def member(bootstrap: str, new_topic: Callable[..., str], fresh_name: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """A topic and a group whose only member owns both partitions and has committed."""
    topic, group = new_topic(2), fresh_name()
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(10):
        producer.produce(topic, f"{n}", partition=n % 2)
    assert producer.flush(TIMEOUT_S) == 0
    settings = {
        "group.protocol": "consumer",
        "group.id": group,
        "client.id": "the-member",
        "auto.offset.reset": "earliest",
    }
    consumer = Consumer({"bootstrap.servers": bootstrap, "enable.auto.commit": False, **settings})
    consumer.subscribe([topic])
    ends, received = time.monotonic() + TIMEOUT_S, 0
    while received < 10:
        assert time.monotonic() < ends, f"the member got {received} of 10 records"
        message = consumer.poll(0.1)
        received += message is not None and message.error() is None
    consumer.commit(asynchronous=False)
    yield topic, group
    consumer.close()


def table(lines: list[str]) -> list[dict[str, str]]:
    cells = [re.sub(r"\s+\(", "(", line).split() for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def describe(tools, group: str, *arguments: str) -> list[dict[str, str]]:
    finished = tools.run("kafka-consumer-groups", "--describe", "--group", group, *arguments).succeeded()
    return table(finished.lines())


def test_a_group_is_described_with_its_members_and_epochs(tools, member):
    topic, group = member

    rows = describe(tools, group)
    (state,) = describe(tools, group, "--state", "--verbose")
    (shown,) = describe(tools, group, "--members", "--verbose")

    assert {(r["TOPIC"], r["PARTITION"], r["CURRENT-OFFSET"], r["LAG"], r["CLIENT-ID"]) for r in rows} == {
        (topic, "0", "5", "0", "the-member"),
        (topic, "1", "5", "0", "the-member"),
    }
    assert (state["STATE"], state["ASSIGNMENT-STRATEGY"], state["#MEMBERS"]) == ("Stable", "uniform", "1")
    assert (state["GROUP-EPOCH"], state["TARGET-ASSIGNMENT-EPOCH"]) == ("1", "1")
    assert (shown["CURRENT-EPOCH"], shown["TARGET-EPOCH"], shown["#PARTITIONS"]) == ("1", "1", "2")
    assert shown["CURRENT-ASSIGNMENT"] == shown["TARGET-ASSIGNMENT"] == f"{topic}:0,1"


def test_groups_are_listed_with_their_type(tools, member):
    _, group = member

    listed = table(tools.run("kafka-groups", "--list", "--consumer").succeeded().lines())
    typed = table(tools.run("kafka-consumer-groups", "--list", "--type", "consumer").succeeded().lines())

    assert {"GROUP": group, "TYPE": "Consumer", "PROTOCOL": "consumer"} in listed
    assert {"GROUP": group, "TYPE": "Consumer"} in typed


def test_offsets_of_a_subscribed_topic_are_not_deleted(tools, member):
    topic, group = member

    finished = tools.run("kafka-consumer-groups", "--delete-offsets", "--group", group, "--topic", topic)

    assert "subscribed" in finished.errors + "".join(finished.lines())


def test_the_console_consumer_speaks_the_consumer_protocol(tools, new_topic, fresh_name, bootstrap):
    topic, group = new_topic(), fresh_name()
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(100):
        producer.produce(topic, f"{n}")
    assert producer.flush(TIMEOUT_S) == 0

    finished = tools.run(
        *["kafka-console-consumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "100"],
        *["--consumer-property", "group.protocol=consumer", "--timeout-ms", "60000"],
    ).succeeded()

    assert finished.lines() == [f"{n}" for n in range(100)]
    listed = table(tools.run("kafka-groups", "--list", "--consumer").succeeded().lines())
    assert {"GROUP": group, "TYPE": "Consumer", "PROTOCOL": "consumer"} in listed


def test_the_console_consumer_finds_topics_by_regular_expression(tools, new_topic, bootstrap):
    topic = new_topic()
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, "found")
    assert producer.flush(TIMEOUT_S) == 0

    finished = tools.run(
        *[
            "kafka-console-consumer",
            "--include",
            re.escape(topic)[:-4] + ".*",
            "--from-beginning",
            "--max-messages",
            "1",
        ],
        *["--consumer-property", "group.protocol=consumer", "--timeout-ms", "60000"],
    ).succeeded()

    assert finished.lines() == ["found"]
