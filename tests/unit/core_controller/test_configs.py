from __future__ import annotations

import pytest

from mainstem.core.controller.configs import (
    ConfigEdit,
    ConfigOperation,
    ConfigPlan,
    plan_config_edits,
    plan_config_replacement,
)
from mainstem.core.metadata.image import ConfigResource, MetadataImage
from mainstem.model.cluster import BrokerRegistration, ConfigChanged, PartitionRegistration, TopicCreated
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicId

SET, DELETE, APPEND, SUBTRACT = ConfigOperation
TOPIC = ConfigResource("topic", "a")
CLUSTER = ConfigResource("broker", "")
CONFIG = BrokerConfig.from_texts({})
IMAGE = (
    MetadataImage()
    .with_brokers([BrokerRegistration(broker_id=1, epoch=1, endpoints=())])
    .apply(
        TopicCreated(
            name="a",
            topic_id=TopicId(bytes(16)),
            partitions=(PartitionRegistration(partition=0, leader=1, leader_epoch=0, replicas=(1,), isr=(1,)),),
            configs={"retention.ms": "5", "cleanup.policy": "compact"},
        )
    )
)


def plan(resource: ConfigResource, *edits: tuple[str, ConfigOperation, str | None]) -> ConfigPlan:
    return plan_config_edits(IMAGE, resource, [ConfigEdit(*edit) for edit in edits], CONFIG)


def changed(result: ConfigPlan) -> dict[str, str | None]:
    assert result.error is ErrorCode.NONE, result.message
    return {change.key: change.value for change in result.changes if isinstance(change, ConfigChanged)}


def test_keys_are_set_and_removed() -> None:
    assert changed(plan(TOPIC, ("retention.ms", DELETE, None), ("segment.ms", SET, "9"))) == {
        "retention.ms": None,
        "segment.ms": "9",
    }


def test_what_does_not_change_is_not_written() -> None:
    assert changed(plan(TOPIC, ("retention.ms", SET, "5"), ("segment.ms", DELETE, None))) == {}


@pytest.mark.parametrize(
    ("operation", "value", "result"),
    [
        (APPEND, "delete", "compact,delete"),
        (APPEND, "compact,delete", "compact,delete"),
        (SUBTRACT, "compact", ""),
        (SUBTRACT, "delete", None),
    ],
)
def test_lists_grow_and_shrink(operation: ConfigOperation, value: str, result: str | None) -> None:
    expected = {} if result is None else {"cleanup.policy": result}
    assert changed(plan(TOPIC, ("cleanup.policy", operation, value))) == expected


def test_appending_starts_from_what_is_inherited() -> None:
    result = plan(CLUSTER, ("log.cleanup.policy", APPEND, "compact"))
    assert changed(result) == {"log.cleanup.policy": "delete,compact"}


def test_dynamic_settings_of_brokers_and_groups_are_written() -> None:
    assert changed(plan(CLUSTER, ("log.retention.ms", SET, "7"))) == {"log.retention.ms": "7"}
    assert changed(plan(ConfigResource("broker", "1"), ("background.threads", SET, "7"))) == {"background.threads": "7"}
    group = ConfigResource("group", "g")
    assert changed(plan(group, ("consumer.session.timeout.ms", SET, "50000"))) == {
        "consumer.session.timeout.ms": "50000"
    }


def test_settings_of_brokers_that_are_in_no_list_are_kept_as_kafka_keeps_them() -> None:
    edits = {
        "leader.replication.throttled.rate": "7",
        "listener.name.internal.ssl.key.password": "secret",
        "my.plugin.setting": "x",
    }
    result = plan(ConfigResource("broker", "1"), *((key, SET, value) for key, value in edits.items()))
    assert changed(result) == edits


@pytest.mark.parametrize("key", ["num.partitions", "listeners", "ssl.key.password", "no.such.key"])
def test_what_cannot_be_set_can_be_removed(key: str) -> None:
    """Tools clean up so, whether there was anything or not."""
    assert changed(plan(CLUSTER, (key, DELETE, None))) == {}


def test_a_replacement_removes_what_it_does_not_name() -> None:
    result = plan_config_replacement(IMAGE, TOPIC, [("cleanup.policy", "compact"), ("segment.ms", "9")], CONFIG)
    assert changed(result) == {"segment.ms": "9", "retention.ms": None}
    assert changed(plan_config_replacement(IMAGE, TOPIC, [], CONFIG)) == {"retention.ms": None, "cleanup.policy": None}


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ([("segment.ms", None)], ErrorCode.INVALID_REQUEST),
        ([("segment.ms", "1"), ("segment.ms", "1")], ErrorCode.INVALID_REQUEST),
        ([("segment.ms", "soon")], ErrorCode.INVALID_CONFIG),
        ([("segment.m", "1")], ErrorCode.INVALID_CONFIG),
    ],
)
def test_a_bad_replacement_changes_nothing(wanted: list[tuple[str, str | None]], error: ErrorCode) -> None:
    result = plan_config_replacement(IMAGE, TOPIC, wanted, CONFIG)
    assert (result.error, result.changes) == (error, ())


@pytest.mark.parametrize(
    ("resource", "edit", "error", "words"),
    [
        (ConfigResource("topic", "b"), ("retention.ms", SET, "1"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "'b'"),
        (ConfigResource("topic", ""), ("retention.ms", SET, "1"), ErrorCode.INVALID_REQUEST, "must be named"),
        (ConfigResource("topic", "b c"), ("retention.ms", SET, "1"), ErrorCode.INVALID_TOPIC_EXCEPTION, "b c"),
        (TOPIC, ("retention.ms", SET, "soon"), ErrorCode.INVALID_CONFIG, "retention.ms='soon' is not valid"),
        (TOPIC, ("retention.ms", SET, None), ErrorCode.INVALID_REQUEST, "a value is needed for retention.ms"),
        (TOPIC, ("retention.ms", APPEND, "1"), ErrorCode.INVALID_CONFIG, "APPEND works on lists only"),
        (TOPIC, ("retention.m", APPEND, "1"), ErrorCode.INVALID_CONFIG, "APPEND works on lists only"),
        (TOPIC, ("retention.m", SET, "1"), ErrorCode.INVALID_CONFIG, "did you mean retention.ms?"),
        (TOPIC, ("cleanup.policy", APPEND, "burn"), ErrorCode.INVALID_CONFIG, "one of compact, delete"),
        (TOPIC, ("min.compaction.lag.ms", SET, str(2**63 - 1)), ErrorCode.NONE, ""),
        (TOPIC, ("max.compaction.lag.ms", SET, "1"), ErrorCode.NONE, ""),
        (TOPIC, ("remote.storage.enable", SET, "true"), ErrorCode.INVALID_CONFIG, "tiered storage"),
        (CLUSTER, ("num.partitions", SET, "2"), ErrorCode.INVALID_REQUEST, "read at start only"),
        (CLUSTER, ("listeners", SET, "PLAINTEXT://:1"), ErrorCode.INVALID_REQUEST, "read at start only"),
        (CLUSTER, ("log.retention.ms", APPEND, "2"), ErrorCode.INVALID_CONFIG, "APPEND works on lists only"),
        (CLUSTER, ("log.retention.ms", SET, "0"), ErrorCode.INVALID_REQUEST, "-1 for no limit"),
        (CLUSTER, ("max.connections.per.ip", SET, "0"), ErrorCode.INVALID_REQUEST, "needs max.connections.per.ip.ov"),
        (CLUSTER, ("max.connections.per.ip.overrides", SET, "h:1"), ErrorCode.INVALID_REQUEST, "not looked up"),
        (CLUSTER, ("leader.replication.throttled.rate", SET, "-1"), ErrorCode.INVALID_REQUEST, "at least 0"),
        (CLUSTER, ("listener.name.a.max.connections", SET, "x"), ErrorCode.INVALID_REQUEST, "at least 0"),
        (CLUSTER, ("listener.name.a.ssl.key.password", SET, "x"), ErrorCode.INVALID_REQUEST, "name a broker"),
        (ConfigResource("broker", "1"), ("ssl.key.password", SET, "x"), ErrorCode.INVALID_REQUEST, "for a listener"),
        (CLUSTER, ("ssl.key.password", SET, "x"), ErrorCode.INVALID_REQUEST, "name a broker"),
        (ConfigResource("broker", "2"), ("log.retention.ms", SET, "1"), ErrorCode.INVALID_REQUEST, "'2' is not the id"),
        (ConfigResource("broker", "x"), ("log.retention.ms", SET, "1"), ErrorCode.INVALID_REQUEST, "'x' is not the id"),
        (ConfigResource("group", ""), ("consumer.session.timeout.ms", SET, "1"), ErrorCode.INVALID_REQUEST, "empty"),
        (
            ConfigResource("group", "g"),
            ("consumer.session.timeout.ms", SET, "1"),
            ErrorCode.INVALID_CONFIG,
            "at least 45000",
        ),
    ],
)
def test_edits_that_cannot_be_made_are_refused(
    resource: ConfigResource, edit: tuple[str, ConfigOperation, str | None], error: ErrorCode, words: str
) -> None:
    result = plan(resource, edit)
    assert result.error is error
    assert words in (result.message or "")


def test_contradictions_are_seen_over_all_keys() -> None:
    result = plan(TOPIC, ("min.compaction.lag.ms", SET, "5"), ("max.compaction.lag.ms", SET, "4"))
    assert (result.error, result.changes) == (ErrorCode.INVALID_CONFIG, ())


def test_a_key_appears_once() -> None:
    result = plan(TOPIC, ("segment.ms", SET, "5"), ("segment.ms", DELETE, None))
    assert (result.error, result.message) == (ErrorCode.INVALID_REQUEST, "the key segment.ms appears more than once")
