"""Transactions and a broker that dies in the middle of them: what was decided is completed, what was not is undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from raw_connection import RawConnection
from topic_values import read_values

from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.list_transactions import ListTransactionsRequest

MakeBroker = Callable[..., Any]
TIMEOUT_S = 30.0
QUICK = ("transaction.abort.timed.out.transaction.cleanup.interval.ms=300", "num.partitions=1")


def producer(bootstrap: str, transactional_id: str, **settings: object) -> Producer:
    made = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": transactional_id,
            "reconnect.backoff.max.ms": 200,
            "metadata.recovery.strategy": "none",
            "error_cb": lambda error: None,
            "log_level": 0,
        }
        | settings
    )
    made.init_transactions(TIMEOUT_S)
    return made


def create(bootstrap: str, topic: str = "t") -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)


@pytest.mark.parametrize("storage", ["segments", "sqlite"])
@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_a_transaction_goes_on_over_a_restart(broker_process: MakeBroker, storage: str, ending: str) -> None:
    broker = broker_process(*QUICK, f"log.storage={storage}")
    broker.start()
    create(broker.bootstrap_servers)
    writer = producer(broker.bootstrap_servers, "tx")
    writer.begin_transaction()
    writer.produce("t", "before")
    assert writer.flush(TIMEOUT_S) == 0
    getattr(broker, ending)()
    broker.start()
    writer.produce("t", "after")
    writer.commit_transaction(TIMEOUT_S)
    writer.begin_transaction()
    writer.produce("t", "aborted")
    assert writer.flush(TIMEOUT_S) == 0
    getattr(broker, ending)()
    broker.start()
    writer.abort_transaction(TIMEOUT_S)
    assert read_values(broker.bootstrap_servers, "t") == ["before", "after"]
    assert read_values(broker.bootstrap_servers, "t", "read_uncommitted") == ["before", "after", "aborted"]


def test_what_nobody_ends_is_aborted_after_the_restart(broker_process: MakeBroker) -> None:
    broker = broker_process(*QUICK)
    broker.start()
    create(broker.bootstrap_servers)
    writer = producer(broker.bootstrap_servers, "tx", **{"transaction.timeout.ms": 1_500})
    writer.begin_transaction()
    writer.produce("t", "left open")
    assert writer.flush(TIMEOUT_S) == 0
    broker.kill()
    broker.start()
    plain = Producer({"bootstrap.servers": broker.bootstrap_servers})
    plain.produce("t", "behind")
    assert plain.flush(TIMEOUT_S) == 0
    values: list[str] = []
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "not used",
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition("t", 0, 0)])
    message = consumer.poll(TIMEOUT_S)
    consumer.close()
    assert message is not None
    assert message.error() is None
    values.append(message.value().decode())
    assert values == ["behind"]
    with pytest.raises(KafkaException):
        writer.commit_transaction(TIMEOUT_S)


def test_a_zombie_is_fenced_by_a_producer_that_comes_after_the_restart(broker_process: MakeBroker) -> None:
    broker = broker_process(*QUICK)
    broker.start()
    create(broker.bootstrap_servers)
    zombie = producer(broker.bootstrap_servers, "tx")
    zombie.begin_transaction()
    zombie.produce("t", "of the zombie")
    assert zombie.flush(TIMEOUT_S) == 0
    broker.kill()
    broker.start()
    successor = producer(broker.bootstrap_servers, "tx")
    successor.begin_transaction()
    successor.produce("t", "of the successor")
    successor.commit_transaction(TIMEOUT_S)
    with pytest.raises(KafkaException) as fenced:
        zombie.commit_transaction(TIMEOUT_S)
    assert fenced.value.args[0].fatal()
    assert read_values(broker.bootstrap_servers, "t") == ["of the successor"]


def test_producer_ids_are_never_given_twice(broker_process: MakeBroker) -> None:
    """Each start of a broker reserves a block of its own, however it ended before."""
    broker = broker_process(*QUICK)
    seen: set[int] = set()
    for start in range(3):
        broker.start()
        for number in range(3):
            producer(broker.bootstrap_servers, f"tx-{start}-{number}")
        seen |= producer_ids(broker.bootstrap_servers)
        assert len(seen) == 3 * (start + 1)
        broker.kill()


def producer_ids(bootstrap: str) -> set[int]:
    """Of all transactional ids."""
    connection = RawConnection(bootstrap)
    try:
        while True:
            response = connection.ask(ApiKey.LIST_TRANSACTIONS, 0, ListTransactionsRequest())
            if response.error_code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                return {found.producer_id for found in response.transaction_states}
    finally:
        connection.close()
