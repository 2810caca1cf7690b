"""Configurations of topics, brokers, groups and client metrics: listed, read and changed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mainstem.client.errors import check
from mainstem.client.protocol import ProtocolConnection
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
)
from mainstem.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from mainstem.wire.messages.list_config_resources import ListConfigResourcesRequest, ListConfigResourcesResponse

RESOURCE_TYPES = {"topic": 2, "broker": 4, "broker-logger": 8, "client-metric": 16, "group": 32}
SOURCES = {
    1: "DYNAMIC_TOPIC_CONFIG",
    2: "DYNAMIC_BROKER_CONFIG",
    3: "DYNAMIC_DEFAULT_BROKER_CONFIG",
    4: "STATIC_BROKER_CONFIG",
    5: "DEFAULT_CONFIG",
    6: "DYNAMIC_BROKER_LOGGER_CONFIG",
    7: "DYNAMIC_CLIENT_METRICS_CONFIG",
    8: "DYNAMIC_GROUP_CONFIG",
}
"""Names as Kafka's tools print them, by their number in DescribeConfigs."""
_SET, _DELETE = 0, 1


class ConfigSetting(msgspec.Struct, frozen=True):
    """One place where a value is set. `source` is one of SOURCES."""

    name: str
    value: str | None
    source: str


class ConfigValue(msgspec.Struct, frozen=True, kw_only=True):
    """An effective configuration value; None if it is a secret. `synonyms` are in the order in which they win."""

    name: str
    value: str | None
    source: str
    is_default: bool
    is_sensitive: bool
    is_read_only: bool
    synonyms: tuple[ConfigSetting, ...]


def resources(broker: ProtocolConnection, kind: str) -> list[str]:
    """Names of the kind that have a configuration of their own (KIP-1142). Raises: UnreachableError, RefusedError."""
    request = ListConfigResourcesRequest(resource_types=[RESOURCE_TYPES[kind]])
    answer = broker.ask(ApiKey.LIST_CONFIG_RESOURCES, request)
    assert isinstance(answer, ListConfigResourcesResponse), answer
    check(answer.error_code)
    return sorted(each.resource_name for each in answer.config_resources if each.resource_type == RESOURCE_TYPES[kind])


def describe(broker: ProtocolConnection, kind: str, name: str) -> list[ConfigValue]:
    """Sorted by name. `kind` is one of RESOURCE_TYPES. Raises: UnreachableError, RefusedError."""
    wanted = DescribeConfigsResource(resource_type=RESOURCE_TYPES[kind], resource_name=name, configuration_keys=None)
    answer = broker.ask(ApiKey.DESCRIBE_CONFIGS, DescribeConfigsRequest(resources=[wanted], include_synonyms=True))
    assert isinstance(answer, DescribeConfigsResponse), answer
    (result,) = answer.results
    check(result.error_code, result.error_message)
    return sorted((_value(config) for config in result.configs), key=lambda value: value.name)


def alter(broker: ProtocolConnection, kind: str, name: str, changes: Mapping[str, str | None]) -> None:
    """None removes a key. Raises: UnreachableError, RefusedError."""
    configs = [
        AlterableConfig(name=key, config_operation=_DELETE if value is None else _SET, value=value)
        for key, value in changes.items()
    ]
    resource = AlterConfigsResource(resource_type=RESOURCE_TYPES[kind], resource_name=name, configs=configs)
    answer = broker.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, IncrementalAlterConfigsRequest(resources=[resource]))
    assert isinstance(answer, IncrementalAlterConfigsResponse), answer
    (response,) = answer.responses
    check(response.error_code, response.error_message)


def _value(config: DescribeConfigsResourceResult) -> ConfigValue:
    source = SOURCES.get(config.config_source, "UNKNOWN")
    return ConfigValue(
        name=config.name,
        value=config.value,
        source=source,
        is_default=source == "DEFAULT_CONFIG",
        is_sensitive=config.is_sensitive,
        is_read_only=config.read_only,
        synonyms=tuple(
            ConfigSetting(each.name, each.value, SOURCES.get(each.source, "UNKNOWN")) for each in config.synonyms
        ),
    )
