"""`mainstem topics` on a broker. The expected texts are what Apache Kafka 4.1's kafka-topics prints."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import Run


def test_a_topic_lives_and_dies(mainstem: Run) -> None:
    assert mainstem("topics --create --topic orders --partitions 2 --config retention.ms=1000") == (
        0,
        "Created topic orders.\n",
        "",
    )
    described = mainstem("topics --describe --topic orders")
    assert re.sub(r"TopicId: [\w-]{22}", "TopicId: ID", described.out) == (
        "Topic: orders\tTopicId: ID\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: retention.ms=1000\n"
        "\tTopic: orders\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: \n"
        "\tTopic: orders\tPartition: 1\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: \n"
    )
    assert mainstem("topics --alter --topic orders --partitions 3") == (0, "", "")
    assert "PartitionCount: 3" in mainstem("topics --describe --topic orders").out
    assert "orders\n" in mainstem("topics --list").out
    assert mainstem("topics --delete --topic orders") == (0, "", "")
    assert "orders" not in mainstem("topics --list").out


def test_names_with_dots_bring_kafkas_warning(mainstem: Run) -> None:
    out = mainstem("topics --create --topic a.dotted").out
    assert out.startswith("WARNING: Due to limitations in metric names,")
    assert out.endswith("\nCreated topic a.dotted.\n")


def test_topics_are_chosen_by_regular_expression(mainstem: Run) -> None:
    for name in ("chosen-1", "chosen-2", "left"):
        mainstem(f"topics --create --topic {name}")
    assert mainstem("topics --list --topic 'chosen-.*'").out == "chosen-1\nchosen-2\n"
    assert mainstem("topics --list --topic 'chosen-1,left'").out == "chosen-1\nleft\n"
    mainstem("topics --delete --topic 'chosen-.*'")
    assert mainstem("topics --list --topic '(chosen|left).*'").out == "left\n"
    assert "( is an invalid regex" in mainstem("topics --list --topic '('").out


def test_json_says_the_same(mainstem: Run) -> None:
    mainstem("topics --create --topic jason --config retention.ms=5")
    assert "jason" in json.loads(mainstem("topics --list --json").out)
    (topic,) = json.loads(mainstem("topics --describe --topic jason --json").out)
    assert (topic["topic"], topic["configs"]) == ("jason", {"retention.ms": "5"})
    (partition,) = topic["partitions"]
    assert (partition["partition"], partition["leader"], partition["replicas"], partition["isr"]) == (0, 1, [1], [1])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--create --topic there", "Topic 'there' already exists."),
        ("--create --topic new --partitions 0", "The partitions must be greater than 0"),
        ("--create --topic new --replication-factor 0", "The replication factor must be between 1 and 32767 inclusive"),
        ("--create --topic new --replication-factor 2", "2 replicas need as many brokers; the cluster has 1"),
        ("--create --topic new --config novalue", 'all configs to be added must be in the format "key=val".'),
        ("--create --topic new --config retention.ms=x", "retention.ms='x' is not valid"),
        ("--create --topic 'n w'", "topic name 'n w' has a character other than"),
        ("--create --topic new --replica-assignment 1:1", "may not contain duplicate entries"),
        ("--create --topic new --replica-assignment 1,1:2", "Partition 1 has different replication factor"),
        ("--create --topic new --replica-assignment one", "one is not a replica assignment"),
        ("--alter --topic there --partitions 1", "has 1 partition(s) already; 1 would not be more"),
        ("--alter --topic nowhere --partitions 2", "Topic 'nowhere' does not exist as expected"),
        ("--describe --topic nowhere", "Topic 'nowhere' does not exist as expected"),
        ("--delete --topic nowhere", "Topic 'nowhere' does not exist as expected"),
    ],
)
def test_what_cannot_be_done_is_said_as_kafka_says_it(mainstem: Run, line: str, problem: str) -> None:
    mainstem("topics --create --topic there --if-not-exists")
    finished = mainstem(f"topics {line}")
    assert (finished.status, finished.err) == (1, "")
    assert finished.out.startswith("Error while executing topic command : ")
    assert problem in finished.out


@pytest.mark.parametrize(
    "line", ["--delete --topic nowhere", "--describe --topic nowhere", "--alter --topic nowhere --partitions 9"]
)
def test_if_exists_forgives(mainstem: Run, line: str) -> None:
    assert mainstem(f"topics {line} --if-exists") == (0, "", "")


def test_if_not_exists_forgives(mainstem: Run) -> None:
    mainstem("topics --create --topic twice")
    assert mainstem("topics --create --topic twice --if-not-exists") == (0, "", "")


def test_partitions_go_where_they_are_assigned(mainstem: Run) -> None:
    assert mainstem("topics --create --topic placed --replica-assignment 1,1").status == 0
    assert "PartitionCount: 2" in mainstem("topics --describe --topic placed").out


def test_reports_show_partitions_only(mainstem: Run) -> None:
    mainstem("topics --create --topic reported")
    assert mainstem("topics --describe --topic reported --under-replicated-partitions").out == ""
    assert mainstem("topics --describe --topic reported --unavailable-partitions").out == ""
    assert mainstem("topics --describe --topic reported --under-min-isr-partitions").out == ""
    report = mainstem("topics --describe --topic reported --at-min-isr-partitions").out
    assert report.startswith("\tTopic: reported\tPartition: 0")
    assert mainstem("topics --describe --topic reported --topics-with-overrides").out == ""


def test_internal_topics_can_be_left_out(mainstem: Run) -> None:
    mainstem("topics --create --topic __consumer_offsets --if-not-exists")
    assert "__consumer_offsets" in mainstem("topics --list").out
    assert "__consumer_offsets" not in mainstem("topics --list --exclude-internal").out
