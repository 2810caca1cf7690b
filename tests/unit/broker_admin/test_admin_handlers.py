"""The admin handlers on real metadata, every answer sent through the codec in every version."""

from __future__ import annotations

import pytest
from admin_kit import (
    APPEND,
    BROKER,
    BROKER_LOGGER,
    CLIENT_METRICS,
    DELETE,
    GROUP,
    KAFKA,
    SET,
    SUBTRACT,
    TOPIC,
    node,
)

from mainstem.broker.handlers import (
    create_partitions,
    create_topics,
    delete_topics,
    describe_cluster,
    describe_configs,
    incremental_alter_configs,
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
from mainstem.wire.messages.describe_cluster import DescribeClusterRequest
from mainstem.wire.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from mainstem.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)


def topic(name: str, partitions: int = -1, factor: int = -1, **configs: str) -> CreatableTopic:
    settings = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=factor, configs=settings)


# -------------------------------------------------------------------------------------------------
# CreateTopics


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


# -------------------------------------------------------------------------------------------------
# DeleteTopics


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


# ---------------------------------------------------------------------------------------------
# CreatePartitions


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


# ----------------------------------------------------------------------------------------------
# DescribeConfigs

OURS = {
    "flush.policy",
    "coordinator",
    "faults.enable",
    "faults.seed",
    "log.flush.policy",
    "log.storage",
    "metrics.host",
    "metrics.port",
}
OTHER_VALUE = {
    "advertised.listeners",
    "controller.listener.names",
    "controller.quorum.voters",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "min.insync.replicas",
}
"""Set in the recorded cluster, or by its `kafka-storage format` (min.insync.replicas), or ours on purpose."""


@pytest.mark.parametrize(
    ("kind", "name", "rows"), [(TOPIC, "a", "topic"), (BROKER, "1", "broker"), (GROUP, "g", "group")]
)
async def test_a_fresh_node_describes_what_apache_kafka_describes(kind: int, name: str, rows: str) -> None:
    broker = await node()
    await broker.create("a")
    result = await broker.describe(kind, name)
    assert (result.error_code, result.resource_type, result.resource_name) == (0, kind, name)
    ours = {
        config.name: (config.value, config.is_sensitive, [synonym.name for synonym in config.synonyms])
        for config in result.configs
        if config.name not in OURS | OTHER_VALUE
    }
    theirs = {
        # The recorded cluster had some keys set, which lists them a second time.
        row["name"]: (row["default"], row["sensitive"], list(dict.fromkeys(row["synonyms"])))
        for row in KAFKA[rows]
        if row["name"] not in OTHER_VALUE
    }
    assert ours == theirs
    assert all(config.documentation for config in result.configs)
    assert {config.config_type for config in result.configs} <= set(range(1, 10))


@pytest.mark.parametrize("version", range(1, 5))
async def test_older_versions_have_no_types_and_no_documentation(version: int) -> None:
    broker = await node()
    await broker.create("a")
    (config,) = (await broker.describe(TOPIC, "a", "retention.ms", version=version)).configs
    assert (config.config_type, config.documentation is None) == ((5, False) if version >= 3 else (0, True))


async def test_only_the_keys_that_are_asked_for_are_described() -> None:
    broker = await node()
    await broker.create("a")
    result = await broker.describe(TOPIC, "a", "retention.ms", "cleanup.policy", "nonsense")
    assert {config.name for config in result.configs} == {"retention.ms", "cleanup.policy"}


async def test_synonyms_tell_every_layer_from_the_strongest_down() -> None:
    broker = await node(log_retention_ms="3")
    await broker.create("a", retention_ms="0")
    await broker.alter(BROKER, "", ("log.retention.ms", SET, "2"))
    await broker.alter(BROKER, "1", ("log.retention.ms", SET, "1"))
    (config,) = (await broker.describe(TOPIC, "a", "retention.ms")).configs
    assert (config.value, config.config_source) == ("0", ConfigSource.TOPIC)
    assert [(synonym.name, synonym.value, synonym.source) for synonym in config.synonyms] == [
        ("retention.ms", "0", ConfigSource.TOPIC),
        ("log.retention.ms", "1", ConfigSource.DYNAMIC_BROKER),
        ("log.retention.ms", "2", ConfigSource.DYNAMIC_DEFAULT_BROKER),
        ("log.retention.ms", "3", ConfigSource.STATIC_BROKER),
        ("log.retention.hours", "168", ConfigSource.DEFAULT),
    ]
    (own,) = (await broker.describe(BROKER, "1", "log.retention.ms")).configs
    assert (own.value, own.config_source) == ("1", ConfigSource.DYNAMIC_BROKER)


async def test_without_asking_there_are_no_synonyms_and_no_documentation() -> None:
    broker = await node()
    await broker.create("a")
    wanted = DescribeConfigsResource(resource_type=TOPIC, resource_name="a", configuration_keys=["cleanup.policy"])
    response = await broker.ask(describe_configs, 4, DescribeConfigsRequest(resources=[wanted]))
    (config,) = response.results[0].configs
    assert (config.synonyms, config.documentation, config.value) == ([], None, "delete")


async def test_the_cluster_describes_only_what_was_set_for_all() -> None:
    broker = await node(log_retention_ms="3")
    assert (await broker.describe(BROKER, "")).configs == []
    await broker.alter(BROKER, "", ("log.retention.ms", SET, "2"))
    (config,) = (await broker.describe(BROKER, "")).configs
    assert (config.name, config.value, config.config_source) == (
        "log.retention.ms",
        "2",
        ConfigSource.DYNAMIC_DEFAULT_BROKER,
    )


async def test_secrets_and_unknown_keys_are_not_shown() -> None:
    broker = await node(ssl_key_password="hunter2", somebody_elses="hunter3")
    configs = {config.name: config for config in (await broker.describe(BROKER, "1")).configs}
    for name in ("ssl.key.password", "somebody.elses"):
        assert (configs[name].value, configs[name].is_sensitive) == (None, True)
        assert [synonym.value for synonym in configs[name].synonyms] == [None]
    assert configs["ssl.key.password"].config_source == ConfigSource.STATIC_BROKER


async def test_the_old_name_of_the_node_id_shows_the_node_id() -> None:
    broker = await node(node_id="1")
    (config,) = (await broker.describe(BROKER, "1", "broker.id")).configs
    assert config.value == "1"


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        (TOPIC, "b", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (TOPIC, "b c", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (BROKER, "2", ErrorCode.INVALID_REQUEST),
        (BROKER, "x", ErrorCode.INVALID_REQUEST),
        (BROKER_LOGGER, "", ErrorCode.INVALID_REQUEST),
        (BROKER_LOGGER, "2", ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "", ErrorCode.INVALID_REQUEST),
        (GROUP, "", ErrorCode.INVALID_REQUEST),
        (0, "a", ErrorCode.INVALID_REQUEST),
        (99, "a", ErrorCode.INVALID_REQUEST),
    ],
)
async def test_resources_without_settings_are_empty_and_wrong_ones_errors(
    kind: int, name: str, error: ErrorCode
) -> None:
    result = await (await node()).describe(kind, name)
    assert (result.error_code, result.configs) == (error, [])
    assert (result.error_message == "") == (error is ErrorCode.NONE)


# --------------------------------------------------------------------------------------
# IncrementalAlterConfigs


async def test_settings_of_topics_brokers_and_groups_take_effect() -> None:
    broker = await node()
    await broker.create("a")
    assert (await broker.alter(TOPIC, "a", ("retention.ms", SET, "7"))).error_code == 0
    assert (await broker.alter(BROKER, "", ("log.segment.bytes", SET, "2000000"))).error_code == 0
    assert (await broker.alter(GROUP, "g", ("consumer.session.timeout.ms", SET, "50000"))).error_code == 0
    config = broker.metadata.topic_config("a")
    assert (config.retention_ms, config.segment_bytes) == (7, 2_000_000)
    (group,) = (await broker.describe(GROUP, "g", "consumer.session.timeout.ms")).configs
    assert (group.value, group.config_source) == ("50000", ConfigSource.GROUP)
    assert (await broker.alter(TOPIC, "a", ("retention.ms", DELETE, None))).error_code == 0
    assert broker.metadata.topic_config("a").retention_ms == 604_800_000


async def test_lists_are_appended_to_and_subtracted_from() -> None:
    broker = await node()
    await broker.create("a")
    await broker.alter(TOPIC, "a", ("cleanup.policy", APPEND, "compact"))
    assert broker.metadata.topic_config("a").cleanup_policy == ("delete", "compact")
    await broker.alter(TOPIC, "a", ("cleanup.policy", SUBTRACT, "delete"))
    assert broker.metadata.topic_config("a").cleanup_policy == ("compact",)


async def test_validating_an_edit_changes_nothing() -> None:
    broker = await node()
    await broker.create("a")
    assert (await broker.alter(TOPIC, "a", ("retention.ms", SET, "7"), validate=True)).error_code == 0
    wrong = await broker.alter(TOPIC, "a", ("retention.ms", SET, "x"), validate=True)
    assert wrong.error_code == ErrorCode.INVALID_CONFIG
    assert broker.metadata.topic_config("a").retention_ms == 604_800_000


@pytest.mark.parametrize(
    ("kind", "name", "edit", "error"),
    [
        (TOPIC, "b", ("retention.ms", SET, "1"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "a", ("retention.ms", 4, "1"), ErrorCode.INVALID_REQUEST),
        (TOPIC, "a", ("retention.ms", SET, None), ErrorCode.INVALID_REQUEST),
        (TOPIC, "a", ("retention.ms", SET, "soon"), ErrorCode.INVALID_CONFIG),
        (BROKER, "1", ("num.partitions", SET, "2"), ErrorCode.INVALID_REQUEST),
        (BROKER_LOGGER, "1", ("root", SET, "LOUD"), ErrorCode.INVALID_CONFIG),
        (BROKER_LOGGER, "1", ("root", SET, None), ErrorCode.INVALID_REQUEST),
        (BROKER_LOGGER, "1", ("root", DELETE, None), ErrorCode.INVALID_REQUEST),
        (BROKER_LOGGER, "1", ("root", APPEND, "DEBUG"), ErrorCode.INVALID_REQUEST),
        (BROKER_LOGGER, "1", ("storage.x", SET, "DEBUG"), ErrorCode.INVALID_CONFIG),
        (BROKER_LOGGER, "2", ("root", SET, "DEBUG"), ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "", ("metrics", SET, "x"), ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "m", ("metric", SET, "x"), ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "m", ("interval.ms", SET, "99"), ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "m", ("match", SET, "client_id=["), ErrorCode.INVALID_CONFIG),
        (CLIENT_METRICS, "m", ("match", SET, "id=x"), ErrorCode.INVALID_CONFIG),
        (99, "a", ("retention.ms", SET, "1"), ErrorCode.INVALID_REQUEST),
    ],
)
async def test_edits_that_cannot_be_made_are_errors_of_their_resource(
    kind: int, name: str, edit: tuple[str, int, str | None], error: ErrorCode
) -> None:
    broker = await node()
    await broker.create("a")
    response = await broker.alter(kind, name, edit)
    assert (response.error_code, response.resource_type, response.resource_name) == (error, kind, name)
    assert response.error_message


async def test_one_bad_resource_does_not_stop_the_others_and_twins_stop_each_other() -> None:
    broker = await node()
    for name in "abc":
        await broker.create(name)

    def resource(name: str, value: str) -> AlterConfigsResource:
        config = AlterableConfig(name="retention.ms", config_operation=SET, value=value)
        return AlterConfigsResource(resource_type=TOPIC, resource_name=name, configs=[config])

    resources = [resource("a", "x"), resource("b", "1"), resource("c", "2"), resource("c", "3")]
    request = IncrementalAlterConfigsRequest(resources=resources)
    response = await broker.ask(incremental_alter_configs, 0, request)
    assert [each.error_code for each in response.responses] == [
        ErrorCode.INVALID_CONFIG,
        ErrorCode.NONE,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_REQUEST,
    ]
    assert broker.metadata.topic_config("b").retention_ms == 1
    assert broker.metadata.topic_config("c").retention_ms == 604_800_000


# ----------------------------------------------------------------------------------------------
# DescribeCluster


@pytest.mark.parametrize("version", range(3))
async def test_the_cluster_is_described(version: int) -> None:
    broker = await node()
    request = DescribeClusterRequest(include_cluster_authorized_operations=True)
    response = await broker.ask(describe_cluster, version, request)
    assert (response.error_code, response.cluster_id, response.controller_id) == (0, "c" * 22, 1)
    (one,) = response.brokers
    assert (one.broker_id, one.host, one.port, one.rack, one.is_fenced) == (1, "h", 9, "r", False)
    assert response.cluster_authorized_operations == 8096
    without = await broker.ask(describe_cluster, version, DescribeClusterRequest())
    assert without.cluster_authorized_operations == -2147483648


@pytest.mark.parametrize(
    ("endpoint_type", "error"),
    [(2, ErrorCode.MISMATCHED_ENDPOINT_TYPE), (0, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)],
)
async def test_controller_endpoints_are_not_served(endpoint_type: int, error: ErrorCode) -> None:
    response = await (await node()).ask(describe_cluster, 1, DescribeClusterRequest(endpoint_type=endpoint_type))
    assert (response.error_code, response.brokers) == (error, [])


async def test_a_controller_that_the_client_cannot_reach_is_not_named() -> None:
    broker = await node()
    broker.services.endpoint_of = lambda broker_id, context: None
    response = await broker.ask(describe_cluster, 1, DescribeClusterRequest())
    assert (response.controller_id, response.brokers) == (-1, [])
