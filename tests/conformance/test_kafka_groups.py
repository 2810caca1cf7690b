"""kafka-consumer-groups.sh and kafka-groups.sh of Apache Kafka 4.1."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

pytestmark = pytest.mark.conformance

TIMEOUT_S = 60


@pytest.fixture
def empty_group(bootstrap: str, new_topic: Callable[..., str], fresh_name: Callable[[], str]) -> tuple[str, str]:
    """A topic with ten records in each of two partitions, and a group that committed 4 and 10 and left."""
    topic, group = new_topic(2), fresh_name()
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(20):
        producer.produce(topic, f"{n}", partition=n % 2, timestamp=1_700_000_000_000 + 1_000 * n)
    assert producer.flush(TIMEOUT_S) == 0, "messages were left undelivered"
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 4), TopicPartition(topic, 1, 10)], asynchronous=False)
    consumer.close()
    return topic, group


@pytest.fixture
def member(bootstrap: str, empty_group: tuple[str, str]) -> Iterator[Consumer]:
    """A member of that group that owns both partitions."""
    topic, group = empty_group
    settings = {"group.id": group, "client.id": "the-member", "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": bootstrap, "enable.auto.commit": False, **settings})
    consumer.subscribe([topic])
    ends = time.monotonic() + TIMEOUT_S
    while len(consumer.assignment()) < 2:
        assert time.monotonic() < ends, "the member got no partitions"
        consumer.poll(0.1)
    yield consumer
    consumer.close()


def table(lines: list[str]) -> list[dict[str, str]]:
    """The rows of a printed table under the names of its columns; "name (id)" counts as one cell."""
    cells = [re.sub(r"\s+\(", "(", line).split() for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def positions(tools, group: str) -> dict[str, tuple[str, str, str]]:
    """What `--describe` prints: by partition, the committed offset, the end and the lag."""
    finished = tools.run("kafka-consumer-groups", "--describe", "--group", group).succeeded()
    return {
        row["PARTITION"]: (row["CURRENT-OFFSET"], row["LOG-END-OFFSET"], row["LAG"]) for row in table(finished.lines())
    }


def test_a_group_without_members_shows_its_offsets_and_lag(tools, empty_group):
    _, group = empty_group

    finished = tools.run("kafka-consumer-groups", "--describe", "--group", group).succeeded()

    assert f"Consumer group '{group}' has no active members." in finished.errors
    assert positions(tools, group) == {"0": ("4", "10", "6"), "1": ("10", "10", "0")}


def test_groups_are_listed_with_their_state(tools, empty_group):
    _, group = empty_group

    assert group in tools.run("kafka-consumer-groups", "--list").succeeded().lines()
    states = table(tools.run("kafka-consumer-groups", "--list", "--state").succeeded().lines())
    assert {"GROUP": group, "STATE": "Empty"} in states


def test_a_group_with_a_member_shows_who_owns_what(tools, empty_group, member):
    topic, group = empty_group

    rows = table(tools.run("kafka-consumer-groups", "--describe", "--group", group).succeeded().lines())
    (state,) = table(tools.run("kafka-consumer-groups", "--describe", "--group", group, "--state").succeeded().lines())
    (listed,) = [
        row
        for row in table(
            tools.run("kafka-consumer-groups", "--describe", "--group", group, "--members").succeeded().lines()
        )
        if row["GROUP"] == group
    ]

    assert sorted(row["PARTITION"] for row in rows) == ["0", "1"]
    assert {(row["TOPIC"], row["CLIENT-ID"], row["HOST"]) for row in rows} == {(topic, "the-member", "/127.0.0.1")}
    assert (state["STATE"], state["ASSIGNMENT-STRATEGY"], state["#MEMBERS"]) == ("Stable", "range", "1")
    assert (listed["CLIENT-ID"], listed["#PARTITIONS"]) == ("the-member", "2")
    assert {row["CONSUMER-ID"] for row in rows} == {listed["CONSUMER-ID"]}
    kinds = tools.run("kafka-groups", "--list", "--group-type", "classic").succeeded().lines()
    assert [group, "Classic", "consumer"] in [line.split() for line in kinds]


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (["--to-earliest"], ("0", "0")),
        (["--to-latest"], ("10", "10")),
        (["--to-offset", "3"], ("3", "3")),
        (["--shift-by", "-2"], ("2", "8")),
        (["--to-datetime", "2023-11-14T22:13:26.500Z"], ("4", "3")),
    ],
    ids=lambda value: value[0].lstrip("-") if isinstance(value, list) else None,
)
def test_the_offsets_of_a_group_are_reset(tools, empty_group, goal, expected):
    topic, group = empty_group

    tools.run(
        "kafka-consumer-groups", "--reset-offsets", "--group", group, "--topic", topic, *goal, "--execute"
    ).succeeded()

    shown = positions(tools, group)
    assert (shown["0"][0], shown["1"][0]) == expected


def test_the_offsets_of_a_group_with_members_are_not_reset(tools, empty_group, member):
    topic, group = empty_group

    refused = tools.run(
        *["kafka-consumer-groups", "--reset-offsets", "--group", group, "--topic", topic],
        *["--to-earliest", "--execute"],
    )

    assert "Assignments can only be reset if the group" in refused.output
    assert "is inactive, but the current state is Stable" in refused.output


def test_a_group_is_deleted_when_its_members_have_left(tools, empty_group, member):
    _, group = empty_group
    refused = tools.run("kafka-consumer-groups", "--delete", "--group", group)
    assert "The group is not empty." in refused.output

    member.close()
    deleted = tools.run("kafka-consumer-groups", "--delete", "--group", group).succeeded()

    assert deleted.lines() == [f"Deletion of requested consumer groups ('{group}') was successful."]
    assert group not in tools.run("kafka-consumer-groups", "--list").succeeded().lines()
    again = tools.run("kafka-consumer-groups", "--delete", "--group", group)
    assert "The group id does not exist." in again.output


def test_an_unknown_group_is_not_described(tools, fresh_name):
    group = fresh_name()

    answered = tools.run("kafka-consumer-groups", "--describe", "--group", group)

    assert f"Group {group} not found." in answered.output
