from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.controller.internal_topics import automatic_topic
from mainstem.core.controller.topics import (
    ReplicaAssignment,
    TopicResult,
    TopicSpec,
    plan_creation,
    plan_deletion,
    plan_partitions,
)
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.cluster import BrokerRegistration, PartitionsAdded, TopicCreated, TopicDeleted
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicId

CONFIG = BrokerConfig.from_texts({"num.partitions": "4", "default.replication.factor": "2"})
ID = TopicId(b"0123456789abcdef")
BROKERS = [BrokerRegistration(broker_id=broker_id, epoch=1, endpoints=()) for broker_id in (1, 2, 3)]
EMPTY = MetadataImage().with_brokers(BROKERS)


def plan(image: MetadataImage = EMPTY, config: BrokerConfig = CONFIG, **spec: Any) -> TopicResult:
    return plan_creation(image, TopicSpec(**({"name": "a"} | spec)), config, ID, 0)


def image_with(*names: str) -> MetadataImage:
    image = EMPTY
    for index, name in enumerate(names):
        result = plan_creation(
            image, TopicSpec(name=name, partitions=2, replication_factor=1), CONFIG, TopicId(bytes([index] * 16)), 0
        )
        assert result.change is not None
        image = image.apply(result.change)
    return image


def assigned(*partitions: tuple[int, tuple[int, ...]]) -> list[ReplicaAssignment]:
    return [ReplicaAssignment(number, broker_ids) for number, broker_ids in partitions]


def test_minus_one_means_the_brokers_defaults() -> None:
    result = plan()
    assert (result.error, result.partitions, result.replication_factor) == (ErrorCode.NONE, 4, 2)
    assert isinstance(result.change, TopicCreated)
    first = result.change.partitions[0]
    assert (first.leader, first.leader_epoch, first.replicas, first.isr) == (1, 0, (1, 2), (1, 2))
    assert result.topic_id == result.change.topic_id == ID


def test_asked_for_numbers_and_settings_are_taken() -> None:
    result = plan(partitions=7, replication_factor=3, configs={"retention.ms": "1"})
    assert isinstance(result.change, TopicCreated)
    assert (len(result.change.partitions), result.change.configs) == (7, {"retention.ms": "1"})
    assert all(len(partition.replicas) == 3 for partition in result.change.partitions)


def test_partitions_go_where_they_are_assigned() -> None:
    result = plan(assignments=assigned((1, (3, 1)), (0, (2, 3))))
    assert isinstance(result.change, TopicCreated)
    assert [partition.replicas for partition in result.change.partitions] == [(2, 3), (3, 1)]
    assert (result.partitions, result.replication_factor) == (2, 2)


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ({"name": ""}, ErrorCode.INVALID_TOPIC_EXCEPTION, "empty"),
        ({"name": "."}, ErrorCode.INVALID_TOPIC_EXCEPTION, "'.'"),
        ({"name": ".."}, ErrorCode.INVALID_TOPIC_EXCEPTION, "'..'"),
        ({"name": "a" * 250}, ErrorCode.INVALID_TOPIC_EXCEPTION, "249 are allowed"),
        ({"name": "a b"}, ErrorCode.INVALID_TOPIC_EXCEPTION, "letters"),
        ({"name": "ä"}, ErrorCode.INVALID_TOPIC_EXCEPTION, "letters"),
        ({"name": "a\n"}, ErrorCode.INVALID_TOPIC_EXCEPTION, "letters"),
        ({"name": "old"}, ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'old' already exists."),
        ({"name": "x_y"}, ErrorCode.INVALID_TOPIC_EXCEPTION, "collides with 'x.y'"),
        ({"name": "__cluster_metadata"}, ErrorCode.INVALID_REQUEST, "reserved"),
        ({"partitions": 0}, ErrorCode.INVALID_PARTITIONS, "0 partitions"),
        ({"partitions": -2}, ErrorCode.INVALID_PARTITIONS, "-2 partitions"),
        ({"partitions": 10_001}, ErrorCode.POLICY_VIOLATION, "10000"),
        ({"partitions": 2**31 - 1}, ErrorCode.POLICY_VIOLATION, "10000"),
        ({"replication_factor": 0}, ErrorCode.INVALID_REPLICATION_FACTOR, "replication factor 0"),
        ({"replication_factor": -2}, ErrorCode.INVALID_REPLICATION_FACTOR, "replication factor -2"),
        ({"replication_factor": 4}, ErrorCode.INVALID_REPLICATION_FACTOR, "the cluster has 3"),
        ({"configs": {"retention.ms": None}}, ErrorCode.INVALID_CONFIG, "a value is needed for retention.ms"),
        ({"configs": {"retention.ms": "x"}}, ErrorCode.INVALID_CONFIG, "retention.ms='x' is not valid"),
        ({"configs": {"retenion.ms": "1"}}, ErrorCode.INVALID_CONFIG, "did you mean retention.ms?"),
        ({"assignments": assigned((0, (1,))), "partitions": 1}, ErrorCode.INVALID_REQUEST, "must be -1"),
        ({"assignments": assigned((0, (1,))), "replication_factor": 1}, ErrorCode.INVALID_REQUEST, "must be -1"),
        ({"assignments": assigned((0, ()))}, ErrorCode.INVALID_REPLICA_ASSIGNMENT, "no broker at all"),
        ({"assignments": assigned((0, (1, 1)))}, ErrorCode.INVALID_REPLICA_ASSIGNMENT, "same broker twice"),
        ({"assignments": assigned((0, (1, 9)))}, ErrorCode.INVALID_REPLICA_ASSIGNMENT, "broker 9"),
        ({"assignments": assigned((0, (1,)), (0, (2,)))}, ErrorCode.INVALID_REPLICA_ASSIGNMENT, "more than once"),
        ({"assignments": assigned((0, (1,)), (2, (2,)))}, ErrorCode.INVALID_REPLICA_ASSIGNMENT, "without a gap"),
        ({"assignments": assigned((0, (1,)), (1, (1, 2)))}, ErrorCode.INVALID_REPLICA_ASSIGNMENT, "to 1"),
    ],
)
def test_what_cannot_be_created_is_refused_with_kafkas_code(spec: dict[str, Any], error: ErrorCode, words: str) -> None:
    result = plan(image_with("old", "x.y"), **spec)
    assert (result.error, result.change) == (error, None)
    assert words in (result.message or "")


def test_clients_may_create_the_offsets_topic_as_in_kafka() -> None:
    assert plan(name="__consumer_offsets").error is ErrorCode.NONE


def test_a_cluster_without_brokers_can_hold_nothing() -> None:
    assert plan(MetadataImage()).error is ErrorCode.INVALID_REPLICATION_FACTOR


def test_a_topic_is_deleted_by_name() -> None:
    result = plan_deletion(image_with("a"), "a", CONFIG)
    assert result.change == TopicDeleted(name="a", topic_id=TopicId(bytes(16)))


def test_deleting_what_is_not_there_or_not_allowed_is_refused() -> None:
    assert plan_deletion(EMPTY, "a", CONFIG).error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    off = BrokerConfig.from_texts({"delete.topic.enable": "false"})
    assert plan_deletion(image_with("a"), "a", off).error is ErrorCode.TOPIC_DELETION_DISABLED


def test_new_partitions_are_numbered_on() -> None:
    result = plan_partitions(image_with("a"), "a", 5, None, 0)
    assert isinstance(result.change, PartitionsAdded)
    assert [(each.partition, each.replicas) for each in result.change.partitions] == [(2, (3,)), (3, (1,)), (4, (2,))]


def test_new_partitions_go_where_they_are_assigned() -> None:
    result = plan_partitions(image_with("a"), "a", 4, [(3,), (1,)], 0)
    assert isinstance(result.change, PartitionsAdded)
    assert [each.replicas for each in result.change.partitions] == [(3,), (1,)]


@pytest.mark.parametrize(
    ("name", "total", "assignments", "error", "words"),
    [
        ("b", 3, None, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no topic 'b'"),
        ("a", 2, None, ErrorCode.INVALID_PARTITIONS, "2 would not be more"),
        ("a", 1, None, ErrorCode.INVALID_PARTITIONS, "1 would not be more"),
        ("a", -1, None, ErrorCode.INVALID_PARTITIONS, "-1 would not be more"),
        ("a", 10_003, None, ErrorCode.POLICY_VIOLATION, "10000"),
        ("a", 4, [(1,)], ErrorCode.INVALID_REPLICA_ASSIGNMENT, "2 partition(s) are to be added, but 1 assigned"),
        ("a", 3, [(1, 2)], ErrorCode.INVALID_REPLICA_ASSIGNMENT, "others of its topic to 1"),
        ("a", 3, [(9,)], ErrorCode.INVALID_REPLICA_ASSIGNMENT, "broker 9"),
        ("a", 3, [()], ErrorCode.INVALID_REPLICA_ASSIGNMENT, "no broker at all"),
    ],
)
def test_partitions_that_cannot_be_added_are_refused(
    name: str, total: int, assignments: Any, error: ErrorCode, words: str
) -> None:
    result = plan_partitions(image_with("a"), name, total, assignments, 0)
    assert (result.error, result.change) == (error, None)
    assert words in (result.message or "")


def test_replicas_of_dead_brokers_are_not_placed() -> None:
    image = image_with("a").with_brokers([])
    assert plan_partitions(image, "a", 3, None, 0).error is ErrorCode.INVALID_REPLICATION_FACTOR


def test_internal_topics_are_set_up_as_their_coordinators_need_them() -> None:
    config = BrokerConfig.from_texts({"offsets.topic.num.partitions": "7", "transaction.state.log.num.partitions": "8"})
    offsets = automatic_topic("__consumer_offsets", config)
    assert (offsets.partitions, offsets.replication_factor) == (7, 1)
    assert offsets.configs == {
        "cleanup.policy": "compact",
        "compression.type": "producer",
        "segment.bytes": "104857600",
    }
    transactions = automatic_topic("__transaction_state", config)
    assert transactions.partitions == 8
    assert transactions.configs["cleanup.policy"] == "compact"
    assert transactions.configs["min.insync.replicas"] == "1"
    assert automatic_topic("orders", config) == TopicSpec(name="orders")
    for spec in (offsets, transactions):
        assert plan_creation(EMPTY, spec, config, ID, 0).error is ErrorCode.NONE


def test_a_tiny_segment_size_for_internal_topics_is_raised_to_what_topics_may_have() -> None:
    config = BrokerConfig.from_texts({"offsets.topic.segment.bytes": "100"})
    assert automatic_topic("__consumer_offsets", config).configs["segment.bytes"] == "1048576"
