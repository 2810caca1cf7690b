"""DescribeConfigs in every version: what Apache Kafka describes, synonyms, secrets."""

from __future__ import annotations

import pytest
from admin_kit import (
    BROKER,
    BROKER_LOGGER,
    CLIENT_METRICS,
    GROUP,
    KAFKA,
    SET,
    TOPIC,
    node,
)

from mainstem.broker.handlers import (
    describe_configs,
)
from mainstem.model.configs.key import ConfigSource
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource

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
