"""CreateTopics, DeleteTopics and CreatePartitions on real metadata, through the codec in every version."""

from __future__ import annotations

import pytest
from admin_kit import (
    BROKER,
    KAFKA,
    SET,
    node,
)

from mainstem.broker.handlers import (
    create_partitions,
    create_topics,
    delete_topics,
)
from mainstem.model.configs.key import ConfigSource
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from mainstem.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from mainstem.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState


def topic(name: str, partitions: int = -1, factor: int = -1, **configs: str) -> CreatableTopic:
    settings = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=factor, configs=settings)


@pytest.mark.parametrize("version", range(2, 8))
async def test_topics_are_created_in_every_version(version: int) -> None:
    broker = await node(num_partitions="3")
    request = CreateTopicsRequest(topics=[topic("a"), topic("b", 2, 1)])
    response = await broker.ask(create_topics, version, request)
    assert [(each.name, each.error_code) for each in response.topics] == [("a", 0), ("b", 0)]
    assert [len(broker.metadata.image.topics[name].partitions) for name in ("a", "b")] == [3, 2]
    first = response.topics[0]
    assert (first.num_partitions, first.replication_factor) == ((3, 1) if version >= 5 else (-1, -1))
    expected_id = broker.metadata.image.topics["a"].topic_id if version >= 7 else bytes(16)
    assert first.topic_id == expected_id


async def test_the_answer_shows_effective_settings_and_their_sources() -> None:
    broker = await node(log_retention_hours="1", message_max_bytes="5000")
    await broker.alter(BROKER, "", ("log.segment.bytes", SET, "2000000"))
    response = await broker.ask(create_topics, 7, CreateTopicsRequest(topics=[topic("a", retention_bytes="7")]))
    shown = {config.name: (config.value, config.config_source) for config in response.topics[0].configs}
    assert set(shown) >= {row["name"] for row in KAFKA["topic"]}
    assert shown["retention.bytes"] == ("7", ConfigSource.TOPIC)
    assert shown["retention.ms"] == ("3600000", ConfigSource.STATIC_BROKER)
    assert shown["max.message.bytes"] == ("5000", ConfigSource.STATIC_BROKER)
    assert shown["segment.bytes"] == ("2000000", ConfigSource.DYNAMIC_DEFAULT_BROKER)
    assert shown["cleanup.policy"] == ("delete", ConfigSource.DEFAULT)


@pytest.mark.parametrize("version", range(2, 8))
async def test_every_topic_gets_its_own_error(version: int) -> None:
    broker = await node()
    await broker.create("old")
    assigned = CreatableTopic(
        name="assigned",
        num_partitions=-1,
        replication_factor=-1,
        assignments=[CreatableReplicaAssignment(partition_index=0, broker_ids=[1])],
    )
    misplaced = CreatableTopic(
        name="misplaced",
        num_partitions=-1,
        replication_factor=-1,
        assignments=[CreatableReplicaAssignment(partition_index=0, broker_ids=[2])],
    )
    request = CreateTopicsRequest(
        topics=[topic("old"), topic("bad name"), topic("r", 1, 2), topic("c", retention_ms="x"), assigned, misplaced]
    )
    response = await broker.ask(create_topics, version, request)
    assert [each.error_code for each in response.topics] == [
        ErrorCode.TOPIC_ALREADY_EXISTS,
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        ErrorCode.INVALID_REPLICATION_FACTOR,
        ErrorCode.INVALID_CONFIG,
        ErrorCode.NONE,
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ]
    assert [each.error_message is None for each in response.topics] == [False] * 4 + [True, False]
    assert set(broker.metadata.image.topics) == {"old", "assigned"}


async def test_a_name_that_appears_twice_is_answered_once_and_not_created() -> None:
    broker = await node()
    response = await broker.ask(create_topics, 7, CreateTopicsRequest(topics=[topic("a"), topic("b"), topic("a")]))
    assert [(each.name, each.error_code) for each in response.topics] == [
        ("a", ErrorCode.INVALID_REQUEST),
        ("b", ErrorCode.NONE),
    ]
    assert list(broker.metadata.image.topics) == ["b"]


async def test_validating_creates_nothing() -> None:
    broker = await node()
    request = CreateTopicsRequest(topics=[topic("a"), topic("b", 0)], validate_only=True)
    response = await broker.ask(create_topics, 7, request)
    assert [each.error_code for each in response.topics] == [0, ErrorCode.INVALID_PARTITIONS]
    assert broker.metadata.image.topics == {}


@pytest.mark.parametrize("version", range(1, 7))
async def test_topics_are_deleted_by_name(version: int) -> None:
    broker = await node()
    await broker.create("a")
    await broker.create("b")
    if version < 6:
        request = DeleteTopicsRequest(topic_names=["a", "c"], timeout_ms=1000)
    else:
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name="a"), DeleteTopicState(name="c")], timeout_ms=1000)
    response = await broker.ask(delete_topics, version, request)
    assert [(each.name, each.error_code) for each in response.responses] == [
        ("a", 0),
        ("c", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]
    assert list(broker.metadata.image.topics) == ["b"]


async def test_topics_are_deleted_by_id() -> None:
    broker = await node()
    await broker.create("a")
    topic_id = broker.metadata.image.topics["a"].topic_id
    request = DeleteTopicsRequest(topics=[DeleteTopicState(topic_id=topic_id), DeleteTopicState(topic_id=b"x" * 16)])
    response = await broker.ask(delete_topics, 6, request)
    found = {each.topic_id: (each.name, each.error_code) for each in response.responses}
    assert found == {topic_id: ("a", 0), b"x" * 16: (None, ErrorCode.UNKNOWN_TOPIC_ID)}
    assert broker.metadata.image.topics == {}


async def test_a_topic_named_in_no_way_or_in_two_is_refused() -> None:
    broker = await node()
    await broker.create("a")
    await broker.create("b")
    ids = {name: broker.metadata.image.topics[name].topic_id for name in "ab"}
    request = DeleteTopicsRequest(
        topics=[
            DeleteTopicState(),
            DeleteTopicState(name="a", topic_id=ids["a"]),
            DeleteTopicState(name="b"),
            DeleteTopicState(topic_id=ids["b"]),
        ]
    )
    response = await broker.ask(delete_topics, 6, request)
    assert {each.error_code for each in response.responses} == {ErrorCode.INVALID_REQUEST}
    assert len(response.responses) == 4
    assert set(broker.metadata.image.topics) == {"a", "b"}


async def test_a_name_given_twice_is_answered_once() -> None:
    broker = await node()
    await broker.create("a")
    response = await broker.ask(delete_topics, 5, DeleteTopicsRequest(topic_names=["a", "a"]))
    assert [(each.name, each.error_code) for each in response.responses] == [("a", ErrorCode.INVALID_REQUEST)]


@pytest.mark.parametrize(("version", "error"), [(2, ErrorCode.INVALID_REQUEST), (3, ErrorCode.TOPIC_DELETION_DISABLED)])
async def test_deletion_can_be_switched_off(version: int, error: ErrorCode) -> None:
    broker = await node(delete_topic_enable="false")
    await broker.create("a")
    response = await broker.ask(delete_topics, version, DeleteTopicsRequest(topic_names=["a"]))
    assert response.responses[0].error_code == error
    assert "a" in broker.metadata.image.topics


@pytest.mark.parametrize("version", range(4))
async def test_partitions_are_added_in_every_version(version: int) -> None:
    broker = await node()
    for name in "abc":
        await broker.create(name)
    request = CreatePartitionsRequest(
        topics=[
            CreatePartitionsTopic(name="a", count=3, assignments=None),
            CreatePartitionsTopic(name="b", count=2, assignments=[CreatePartitionsAssignment(broker_ids=[1])]),
            CreatePartitionsTopic(name="c", count=2, assignments=[CreatePartitionsAssignment(broker_ids=[2])]),
            CreatePartitionsTopic(name="d", count=2, assignments=None),
        ]
    )
    response = await broker.ask(create_partitions, version, request)
    assert [(each.name, each.error_code) for each in response.results] == [
        ("a", 0),
        ("b", 0),
        ("c", ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("d", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]
    assert [len(broker.metadata.image.topics[name].partitions) for name in "abc"] == [3, 2, 1]


async def test_partitions_are_not_added_twice_or_when_validating() -> None:
    broker = await node()
    await broker.create("a")
    twice = [CreatePartitionsTopic(name="a", count=count, assignments=None) for count in (2, 3)]
    response = await broker.ask(create_partitions, 3, CreatePartitionsRequest(topics=twice))
    assert [(each.name, each.error_code) for each in response.results] == [("a", ErrorCode.INVALID_REQUEST)]
    request = CreatePartitionsRequest(topics=twice[:1], validate_only=True)
    assert (await broker.ask(create_partitions, 3, request)).results[0].error_code == 0
    assert len(broker.metadata.image.topics["a"].partitions) == 1
