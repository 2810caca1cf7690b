"""IncrementalAlterConfigs: edits that take effect, and those that cannot be made."""

from __future__ import annotations

import pytest
from admin_kit import (
    APPEND,
    BROKER,
    BROKER_LOGGER,
    CLIENT_METRICS,
    DELETE,
    GROUP,
    SET,
    SUBTRACT,
    TOPIC,
    node,
)

from mainstem.broker.handlers import (
    incremental_alter_configs,
)
from mainstem.model.configs.key import ConfigSource
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)


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
