"""kafka-transactions.sh of Apache Kafka 4.1: what it lists, describes, finds hanging and aborts."""

import re
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from topic_values import read_values

pytestmark = pytest.mark.conformance

TIMEOUT_S = 60


def rows(output: str) -> list[dict[str, str]]:
    """The tool's table: columns are set apart by tabs or runs of spaces."""
    lines = [re.split(r"\s*\t\s*|\s{2,}", line.strip()) for line in output.splitlines() if line.strip()]
    head = lines[0]
    return [dict(zip(head, line, strict=False)) for line in lines[1:]]


@pytest.fixture
def open_transaction(
    bootstrap: str, new_topic: Callable[..., str], fresh_name: Callable[[], str]
) -> tuple[Producer, str, str]:
    """A producer in the middle of a transaction with one record, its transactional id, and the topic."""
    topic, transactional_id = new_topic(1), fresh_name()
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": transactional_id})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(topic, "open", partition=0)
    assert producer.flush(TIMEOUT_S) == 0
    return producer, transactional_id, topic


def test_list_and_describe(bootstrap: str, tools, open_transaction: tuple[Producer, str, str]) -> None:
    producer, transactional_id, topic = open_transaction
    listed = rows(tools.run("kafka-transactions", "list").succeeded().output)
    (mine,) = [row for row in listed if row["TransactionalId"] == transactional_id]
    assert mine["TransactionState"] == "Ongoing"
    (described,) = rows(
        tools.run("kafka-transactions", "describe", "--transactional-id", transactional_id).succeeded().output
    )
    assert described["TransactionState"] == "Ongoing"
    assert described["ProducerId"] == mine["ProducerId"]
    assert described["TopicPartitions"] == f"{topic}-0"
    producer.commit_transaction(TIMEOUT_S)
    (described,) = rows(
        tools.run("kafka-transactions", "describe", "--transactional-id", transactional_id).succeeded().output
    )
    assert described["TransactionState"] == "CompleteCommit"


def test_list_by_duration_and_by_pattern(tools, open_transaction: tuple[Producer, str, str]) -> None:
    _, transactional_id, _ = open_transaction

    def listed(*arguments: str) -> list[str]:
        output = tools.run("kafka-transactions", "list", *arguments).succeeded().output
        return [row["TransactionalId"] for row in rows(output)]

    assert transactional_id not in listed("--duration-filter", "3600000")
    assert transactional_id in listed("--duration-filter", "0")
    assert listed("--transactional-id-pattern", re.escape(transactional_id)) == [transactional_id]
    assert listed("--transactional-id-pattern", "no such id") == []


def test_producers_of_a_partition(tools, open_transaction: tuple[Producer, str, str]) -> None:
    producer, transactional_id, topic = open_transaction
    arguments = ("describe-producers", "--topic", topic, "--partition", "0")
    (found,) = rows(tools.run("kafka-transactions", *arguments).succeeded().output)
    (described,) = rows(
        tools.run("kafka-transactions", "describe", "--transactional-id", transactional_id).succeeded().output
    )
    assert (found["ProducerId"], found["ProducerEpoch"]) == (described["ProducerId"], described["ProducerEpoch"])
    assert (found["LastSequence"], found["CurrentTransactionStartOffset"]) == ("0", "0")
    producer.abort_transaction(TIMEOUT_S)
    (found,) = rows(tools.run("kafka-transactions", *arguments).succeeded().output)
    assert found["CurrentTransactionStartOffset"] == "None"


def test_find_hanging_finds_none(tools, open_transaction: tuple[Producer, str, str]) -> None:
    """A transaction that its coordinator knows does not hang, however long it is open."""
    _, _, topic = open_transaction
    output = (
        tools.run("kafka-transactions", "find-hanging", "--topic", topic, "--max-transaction-timeout", "0")
        .succeeded()
        .output
    )
    assert rows(output) == []


def test_abort_ends_a_transaction_in_its_partition(
    bootstrap: str, tools, open_transaction: tuple[Producer, str, str]
) -> None:
    """The tool writes a marker past the coordinator, for transactions that nobody else ends."""
    _, _, topic = open_transaction
    plain = Producer({"bootstrap.servers": bootstrap})
    plain.produce(topic, "behind", partition=0)
    assert plain.flush(TIMEOUT_S) == 0
    assert read_values(bootstrap, topic) == []
    tools.run("kafka-transactions", "abort", "--topic", topic, "--partition", "0", "--start-offset", "0").succeeded()
    assert read_values(bootstrap, topic) == ["behind"]
