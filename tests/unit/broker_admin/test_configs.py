"""AlterConfigs in every version, client metrics, settings in no list, and what groups are told of theirs."""

from __future__ import annotations

from typing import Any

import pytest
from admin_kit import BROKER, BROKER_LOGGER, CLIENT_METRICS, DELETE, GROUP, SET, TOPIC, Node, node

from mainstem.broker.handlers import alter_configs
from mainstem.model.configs.broker_keys import HONOURED_KEYS
from mainstem.model.configs.key import ConfigKey, ConfigSource, show
from mainstem.model.configs.topic_keys import LONG_MAX, TOPIC_KEYS
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.alter_configs import AlterableConfig, AlterConfigsRequest, AlterConfigsResource


async def replace(
    broker: Node, kind: int, name: str, *settings: tuple[str, str | None], version: int = 2, validate: bool = False
) -> Any:
    configs = [AlterableConfig(name=key, value=value) for key, value in settings]
    resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
    request = AlterConfigsRequest(resources=[resource], validate_only=validate)
    (response,) = (await broker.ask(alter_configs, version, request)).responses
    assert (response.resource_type, response.resource_name) == (kind, name)
    return response


@pytest.mark.parametrize("version", range(3))
async def test_what_is_not_named_goes_back_to_its_default(version: int) -> None:
    broker = await node()
    await broker.create("a", retention_ms="1", segment_ms="2")
    response = await replace(broker, TOPIC, "a", ("segment.ms", "3"), version=version)
    assert (response.error_code, response.error_message) == (0, None)
    assert broker.metadata.image.topics["a"].configs == {"segment.ms": "3"}


async def test_brokers_and_the_cluster_have_settings_of_their_own() -> None:
    broker = await node()
    await replace(broker, BROKER, "", ("log.retention.ms", "7"), ("log.segment.bytes", "2000000"))
    await replace(broker, BROKER, "1", ("log.retention.ms", "8"))
    await replace(broker, BROKER, "", ("message.max.bytes", "9"))
    config = broker.metadata.config
    assert (config.log_retention_ms, config.log_segment_bytes, config.message_max_bytes) == (8, 1 << 30, 9)


async def test_validating_a_replacement_changes_nothing() -> None:
    broker = await node()
    await broker.create("a", retention_ms="1")
    assert (await replace(broker, TOPIC, "a", validate=True)).error_code == 0
    assert broker.metadata.image.topics["a"].configs == {"retention.ms": "1"}


@pytest.mark.parametrize(
    ("kind", "name", "setting", "error"),
    [
        (TOPIC, "b", ("retention.ms", "1"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "", ("retention.ms", "1"), ErrorCode.INVALID_REQUEST),
        (TOPIC, "a", ("retention.ms", None), ErrorCode.INVALID_REQUEST),
        (TOPIC, "a", ("retention.ms", "soon"), ErrorCode.INVALID_CONFIG),
        (TOPIC, "a", ("retention.m", "1"), ErrorCode.INVALID_CONFIG),
        (BROKER, "1", ("num.partitions", "2"), ErrorCode.INVALID_REQUEST),
        (BROKER, "2", ("log.retention.ms", "2"), ErrorCode.INVALID_REQUEST),
        (BROKER_LOGGER, "1", ("root", "DEBUG"), ErrorCode.INVALID_REQUEST),
        (GROUP, "g", ("consumer.session.timeout.ms", "1"), ErrorCode.INVALID_CONFIG),
        (GROUP, "", ("consumer.session.timeout.ms", "50000"), ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "m", ("interval.ms", "1"), ErrorCode.INVALID_REQUEST),
        (99, "a", ("retention.ms", "1"), ErrorCode.INVALID_REQUEST),
    ],
)
async def test_a_replacement_that_cannot_be_made_is_an_error_of_its_resource(
    kind: int, name: str, setting: tuple[str, str | None], error: ErrorCode
) -> None:
    broker = await node()
    await broker.create("a", segment_ms="5")
    response = await replace(broker, kind, name, setting)
    assert response.error_code == error
    assert response.error_message
    assert broker.metadata.image.topics["a"].configs == {"segment.ms": "5"}
    assert broker.metadata.image.configs == {}


async def test_a_resource_named_twice_is_not_changed() -> None:
    broker = await node()
    await broker.create("a")
    resource = AlterConfigsResource(
        resource_type=TOPIC, resource_name="a", configs=[AlterableConfig(name="segment.ms", value="1")]
    )
    response = await broker.ask(alter_configs, 2, AlterConfigsRequest(resources=[resource, resource]))
    assert [each.error_code for each in response.responses] == [ErrorCode.INVALID_REQUEST] * 2
    assert broker.metadata.image.topics["a"].configs == {}


# ------------------------------------------------------------------------------------------------------ client metrics


async def test_a_subscription_of_client_metrics_is_kept_and_shown() -> None:
    broker = await node()
    fresh = await broker.describe(CLIENT_METRICS, "m")
    assert [(each.name, each.value, each.config_source) for each in fresh.configs] == [
        ("interval.ms", "300000", ConfigSource.DEFAULT),
        ("match", "", ConfigSource.DEFAULT),
        ("metrics", "", ConfigSource.DEFAULT),
    ]
    assert (await broker.alter(CLIENT_METRICS, "m", ("interval.ms", SET, "100"))).error_code == 0
    assert (await broker.alter(CLIENT_METRICS, "m", ("match", SET, "client_id=a.*"))).error_code == 0
    shown = {
        each.name: (each.value, each.config_source) for each in (await broker.describe(CLIENT_METRICS, "m")).configs
    }
    assert shown == {
        "interval.ms": ("100", ConfigSource.CLIENT_METRICS),
        "match": ("client_id=a.*", ConfigSource.CLIENT_METRICS),
        "metrics": ("", ConfigSource.DEFAULT),
    }


# -------------------------------------------------------------------------------------------- settings that are not listed


async def test_throttles_listener_settings_and_strangers_are_shown_as_kafka_shows_them() -> None:
    broker = await node()
    for key in ("leader.replication.throttled.rate", "listener.name.plaintext.max.connections", "my.plugin.setting"):
        assert (await broker.alter(BROKER, "1", (key, SET, "7"))).error_code == 0
    secret = "listener.name.plaintext.ssl.key.password"
    assert (await broker.alter(BROKER, "1", (secret, SET, "hunter2"))).error_code == 0
    configs = {config.name: config for config in (await broker.describe(BROKER, "1")).configs}
    throttle, limit = (
        configs[name] for name in list(configs) if name.endswith(("throttled.rate", "plaintext.max.connections"))
    )
    assert (throttle.value, throttle.config_type, throttle.is_sensitive, throttle.read_only) == ("7", 5, False, True)
    assert (limit.value, limit.config_type) == ("7", 3)
    assert [(synonym.name, synonym.value, synonym.source) for synonym in limit.synonyms] == [
        ("listener.name.plaintext.max.connections", "7", ConfigSource.DYNAMIC_BROKER),
        ("max.connections", "2147483647", ConfigSource.DEFAULT),
    ]
    for name in ("my.plugin.setting", secret):
        assert (configs[name].value, configs[name].is_sensitive) == (None, True)
    assert broker.metadata.config.max_connections == 2_147_483_647


# ------------------------------------------------------------------------------------------------------------ groups


async def test_a_group_is_told_its_own_settings_over_those_of_the_broker() -> None:
    broker = await node(group_consumer_session_timeout_ms="46000")
    assert broker.metadata.group_config("g").consumer_session_timeout_ms == 46_000
    assert (await broker.alter(GROUP, "g", ("consumer.session.timeout.ms", SET, "50000"))).error_code == 0
    found = [broker.metadata.group_config(name).consumer_session_timeout_ms for name in ("g", "h")]
    assert found == [50_000, 46_000]
    assert (await broker.alter(GROUP, "g", ("consumer.session.timeout.ms", DELETE, None))).error_code == 0
    assert broker.metadata.group_config("g").consumer_session_timeout_ms == 46_000


# ------------------------------------------------------------------------------------- every dynamic setting takes effect

OTHER_TEXT = {
    "cleanup.policy": "compact",
    "compression.gzip.level": "5",
    "compression.type": "lz4",
    "flush.policy": "none",
    "message.timestamp.type": "LogAppendTime",
    "min.cleanable.dirty.ratio": "0.25",
    "preallocate": "true",
    "unclean.leader.election.enable": "true",
}
"""Where a number that is larger by one would not do."""


def other_text(key: ConfigKey) -> str:
    """A valid text that is not the default."""
    default = 5 if key.default in (None, LONG_MAX) else key.default_value()
    return OTHER_TEXT.get(key.name) or str(int(str(default)) + 1)


@pytest.mark.parametrize("key", [key for key in TOPIC_KEYS.values() if key.synonyms], ids=lambda key: key.name)
async def test_a_brokers_default_reaches_topics_at_once(key: ConfigKey) -> None:
    broker = await node()
    await broker.create("a")
    text = other_text(key)
    before = getattr(broker.metadata.topic_config("a"), key.attribute)
    assert (await broker.alter(BROKER, "1", (key.synonyms[0], SET, text))).error_code == 0
    after = getattr(broker.metadata.topic_config("a"), key.attribute)
    assert after != before
    assert show(after) == text
    (shown,) = (await broker.describe(TOPIC, "a", key.name)).configs
    assert (shown.value, shown.config_source) == (text, ConfigSource.DYNAMIC_BROKER)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.cleaner.backoff.ms", "7"),
        ("log.cleaner.dedupe.buffer.size", "2000000"),
        ("log.cleaner.io.buffer.load.factor", "0.5"),
        ("log.cleaner.io.buffer.size", "4096"),
        ("log.cleaner.io.max.bytes.per.second", "1000.0"),
        ("max.connections", "7"),
        ("max.connections.per.ip", "7"),
        ("producer.id.expiration.ms", "7"),
        ("transaction.partition.verification.enable", "false"),
    ],
)
@pytest.mark.parametrize("resource", ["1", ""])
async def test_a_brokers_own_setting_takes_effect_at_once(name: str, text: str, resource: str) -> None:
    broker = await node()
    assert (await broker.alter(BROKER, resource, (name, SET, text))).error_code == 0
    assert show(getattr(broker.metadata.config, name.replace(".", "_"))) == text
    assert (await broker.alter(BROKER, resource, (name, DELETE, None))).error_code == 0
    assert getattr(broker.metadata.config, name.replace(".", "_")) == HONOURED_KEYS[name].default_value()


def test_every_dynamic_setting_that_has_an_effect_is_tried_here() -> None:
    tried = {name for key in TOPIC_KEYS.values() for name in key.synonyms}
    own = {key.name for key in HONOURED_KEYS.values() if not key.read_only} - tried
    assert own == {
        "log.cleaner.backoff.ms",
        "log.cleaner.dedupe.buffer.size",
        "log.cleaner.io.buffer.load.factor",
        "log.cleaner.io.buffer.size",
        "log.cleaner.io.max.bytes.per.second",
        "max.connections",
        "max.connections.per.ip",
        "max.connections.per.ip.overrides",
        "producer.id.expiration.ms",
        "transaction.partition.verification.enable",
    }
