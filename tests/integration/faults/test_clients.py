"""Faults as clients meet them: retried, survived, never doubled."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from mainstem import Broker

from .conftest import WAIT_S

Make = Callable[..., Consumer]
Send = Callable[..., list[KafkaError | None]]


def read(consumer: Consumer, count: int) -> list[bytes]:
    """The values of the next `count` records."""
    values: list[bytes] = []
    ends = time.monotonic() + WAIT_S
    while len(values) < count:
        assert time.monotonic() < ends, f"{len(values)} of {count} records came"
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            values.append(message.value())
    return values


def until(what: str, holds: Callable[[], bool], step: Callable[[], object]) -> None:
    """Repeats a step that waits by itself, as a poll does."""
    ends = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < ends, f"after {WAIT_S:.0f} s still not true: {what}"
        step()


def stored(consumer: Consumer, partition: int = 0) -> list[bytes]:
    """Everything in a partition."""
    where = TopicPartition("t", partition, 0)
    _, end = consumer.get_watermark_offsets(where, WAIT_S)
    consumer.assign([where])
    return read(consumer, end)


def test_a_producer_survives_a_leader_that_moves(broker: Broker, send: Send, new_consumer: Make) -> None:
    rule = broker.faults.fail("NOT_LEADER_OR_FOLLOWER", api="Produce", topic="t", partition=0, count=3)
    assert send([b"0", b"1"]) == [None, None]
    assert broker.faults.status(rule).injected == 3
    assert stored(new_consumer()) == [b"0", b"1"]


def test_a_fault_for_one_partition_leaves_the_other_alone(broker: Broker, send: Send) -> None:
    rule = broker.faults.fail("TOPIC_AUTHORIZATION_FAILED", topic="t", partition=1, api="Produce")
    assert send([b"0"], partition=0) == [None]
    (error,) = send([b"0"], partition=1)
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    broker.faults.remove(rule)
    assert send([b"0"], partition=1) == [None]


def test_an_idempotent_producer_that_loses_its_connections_duplicates_nothing(
    broker: Broker, new_producer: Callable[..., Producer], new_consumer: Make
) -> None:
    """Every third request is appended, and its answer never comes. One record a request: while the producer gets its id they
    would gather in a single one, which the rule may leave alone."""
    rule = broker.faults.disconnect(api="Produce", when="after", probability=0.3)
    values = [b"%d" % number for number in range(60)]
    failed: list[KafkaError] = []
    producer = new_producer(enable_idempotence=True, linger_ms=0, batch_num_messages=1, retries=1000)
    for value in values:
        producer.produce("t", value, partition=0, on_delivery=lambda e, _: failed.append(e) if e else None)
        producer.poll(0.01)
    assert producer.flush(WAIT_S) == 0
    assert failed == []
    assert broker.faults.status(rule).injected > 0
    broker.faults.clear()
    assert stored(new_consumer()) == values


def test_a_producer_without_idempotence_duplicates_what_was_appended_unanswered(
    broker: Broker, send: Send, new_consumer: Make
) -> None:
    """What shows that the request before took effect."""
    broker.faults.disconnect(api="Produce", when="after", count=1)
    assert send([b"0"], enable_idempotence=False) == [None]
    assert stored(new_consumer()) == [b"0", b"0"]


def test_a_request_that_is_cut_before_took_no_effect(broker: Broker, send: Send, new_consumer: Make) -> None:
    broker.faults.disconnect(api="Produce", count=1)
    assert send([b"0"], enable_idempotence=False) == [None]
    assert stored(new_consumer()) == [b"0"]


def test_a_consumer_survives_a_coordinator_that_moves(broker: Broker, send: Send, new_consumer: Make) -> None:
    send([b"0"])
    consumer = new_consumer()
    consumer.subscribe(["t"])
    assert read(consumer, 1) == [b"0"]
    rule = broker.faults.move_coordinator("g")
    until("the group is told", lambda: broker.faults.status(rule).injected == 1, lambda: consumer.poll(0.1))
    send([b"1"])
    assert read(consumer, 1) == [b"1"]
    until("a commit is accepted", lambda: is_committed(consumer, 2), lambda: consumer.poll(0.1))
    assert broker.faults.status(rule).injected == 1


def is_committed(consumer: Consumer, offset: int) -> bool:
    """Commits where the consumer stands, if it can; a commit on its way to the old coordinator may fail."""
    where = [TopicPartition("t", 0, offset)]
    try:
        consumer.commit(offsets=where, asynchronous=False)
        return [each.offset for each in consumer.committed(where, WAIT_S)] == [offset]
    except KafkaException:
        return False


def test_a_forced_rebalance_assigns_again_and_loses_nothing(broker: Broker, send: Send, new_consumer: Make) -> None:
    send([b"0"])
    assigned: list[int] = []
    consumer = new_consumer()
    consumer.subscribe(["t"], on_assign=lambda _, partitions: assigned.append(len(partitions)))
    assert read(consumer, 1) == [b"0"]
    assert assigned == [2]
    rule = broker.faults.rebalance("g")
    until("the member joined again", lambda: len(assigned) >= 2, lambda: consumer.poll(0.1))
    assert broker.faults.status(rule).injected == 1
    send([b"1"])
    assert read(consumer, 1) == [b"1"]


def test_members_of_the_consumer_protocol_join_again_too(broker: Broker, send: Send, new_consumer: Make) -> None:
    """KIP-848: the member is fenced, gives up what it has, and gets it again."""
    send([b"0"])
    assigned: list[int] = []
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "new",
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    try:
        consumer.subscribe(["t"], on_assign=lambda _, partitions: assigned.append(len(partitions)))
        assert read(consumer, 1) == [b"0"]
        rule = broker.faults.rebalance("new")
        until("the member joined again", lambda: len(assigned) >= 2, lambda: consumer.poll(0.1))
        assert broker.faults.status(rule).injected == 1
        send([b"1"])
        assert read(consumer, 1) == [b"1"]
    finally:
        consumer.close()


def test_a_transaction_survives_a_coordinator_that_moves(
    broker: Broker, new_producer: Callable[..., Producer], new_consumer: Make
) -> None:
    producer = new_producer(transactional_id="payments")
    producer.init_transactions(WAIT_S)
    rule = broker.faults.move_coordinator("payments", count=2)
    for value in (b"0", b"1"):
        producer.begin_transaction()
        producer.produce("t", value, partition=0)
        producer.commit_transaction(WAIT_S)
    assert broker.faults.status(rule).injected >= 1
    broker.faults.clear()
    consumer = new_consumer(isolation_level="read_committed")
    consumer.assign([TopicPartition("t", 0, 0)])
    assert read(consumer, 2) == [b"0", b"1"]


def test_a_transaction_whose_end_goes_unanswered_is_committed_once(
    broker: Broker, new_producer: Callable[..., Producer], new_consumer: Make
) -> None:
    producer = new_producer(transactional_id="payments")
    producer.init_transactions(WAIT_S)
    rule = broker.faults.disconnect(api="EndTxn", when="after", count=1)
    producer.begin_transaction()
    producer.produce("t", b"0", partition=0)
    producer.commit_transaction(WAIT_S)
    assert broker.faults.status(rule).injected == 1
    consumer = new_consumer(isolation_level="read_committed")
    consumer.assign([TopicPartition("t", 0, 0)])
    assert read(consumer, 1) == [b"0"]


def test_a_consumer_gets_its_records_through_errors_of_fetch(broker: Broker, send: Send, new_consumer: Make) -> None:
    """Within a fetch session the request does not name the partition any more."""
    send([b"0"])
    consumer = new_consumer()
    consumer.assign([TopicPartition("t", 0, 0)])
    assert read(consumer, 1) == [b"0"]
    first = broker.faults.fail("NOT_LEADER_OR_FOLLOWER", api="Fetch", topic="t", partition=0, count=2)
    second = broker.faults.fail("FETCH_SESSION_ID_NOT_FOUND", api="Fetch", skip=2, count=1)
    send([b"1"])
    assert read(consumer, 1) == [b"1"]
    until("the session is lost", lambda: broker.faults.status(second).injected == 1, lambda: consumer.poll(0.1))
    assert broker.faults.status(first).injected == 2
    send([b"2"])
    assert read(consumer, 1) == [b"2"]


def test_latency_is_seen_by_the_timeouts_of_clients(broker: Broker) -> None:
    """The answer would come after an hour."""
    rule = broker.faults.delay(3_600_000, api="ListOffsets")
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "x", "log_level": 0, "socket.timeout.ms": 500}
    )
    code = None
    try:
        consumer.offsets_for_times([TopicPartition("t", 0, 0)], 1.0)
    except KafkaException as error:
        code = error.args[0].code()
    assert code in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT)
    assert broker.faults.status(rule).injected > 0
    broker.faults.clear()
    assert consumer.get_watermark_offsets(TopicPartition("t", 0), WAIT_S) == (0, 0)
    consumer.close()


def test_a_delay_before_keeps_later_requests_of_the_connection_waiting(broker: Broker, send: Send) -> None:
    rule = broker.faults.delay(50, api="Produce", when="before", count=2)
    assert send([b"0", b"1", b"2"]) == [None, None, None]
    assert broker.faults.status(rule).injected == 2


def test_only_the_named_client_is_hit(broker: Broker, send: Send) -> None:
    rule = broker.faults.fail("TOPIC_AUTHORIZATION_FAILED", api="Produce", client_id="unlucky")
    assert send([b"0"], client_id="lucky") == [None]
    (error,) = send([b"0"], client_id="unlucky")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert broker.faults.status(rule).matched == 1


def test_a_request_that_names_nothing_gets_the_error_as_a_whole(broker: Broker) -> None:
    broker.faults.fail("LEADER_NOT_AVAILABLE", api="Metadata", client_id="probe")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "client.id": "probe", "log_level": 0})
    with pytest.raises(KafkaException) as caught:
        admin.list_topics(timeout=WAIT_S)
    assert caught.value.args[0].code() == KafkaError.LEADER_NOT_AVAILABLE


def test_without_rules_nothing_is_between(broker: Broker, send: Send) -> None:
    """Lanes, which answer requests past the handlers, come back when the last rule has gone."""
    rule = broker.faults.fail("NOT_LEADER_OR_FOLLOWER", api="Produce", skip=1_000_000)
    assert send([b"0", b"1"]) == [None, None]
    assert broker.faults.status(rule).matched == 2
    broker.faults.remove(rule)
    assert send([b"%d" % number for number in range(20)]) == [None] * 20
    assert broker.faults.statuses() == []
