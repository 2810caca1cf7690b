"""What changing configurations means: checks and the changes to write.

Source: Kafka's `ConfigurationControlManager` and `DynamicBrokerConfig`; the codes are Kafka's, the sentences
ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

import msgspec

from mainstem.core.metadata.effective import CLUSTER_DEFAULTS
from mainstem.core.metadata.image import ConfigResource, MetadataImage
from mainstem.model.cluster import Change, ConfigChanged
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.broker_open import broker_key, is_per_broker, is_per_listener
from mainstem.model.configs.client_metrics import CLIENT_METRICS_KEYS, check_client_metrics
from mainstem.model.configs.group import GROUP_KEYS, GroupConfig
from mainstem.model.configs.key import ConfigKey, ConfigType, show, split_list
from mainstem.model.configs.topic import TopicConfig, inherited
from mainstem.model.configs.topic_keys import TOPIC_KEYS
from mainstem.model.errors import ConfigError, ErrorCode
from mainstem.model.topic import topic_name_problem


class ConfigOperation(IntEnum):
    """The numbers are those of IncrementalAlterConfigs (KIP-339)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigEdit(msgspec.Struct, frozen=True):
    """`value` is None for DELETE only."""

    key: str
    operation: ConfigOperation
    value: str | None


class ConfigPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All of a resource's edits happen, or none."""

    error: ErrorCode = ErrorCode.NONE
    message: str | None = None
    changes: Sequence[Change] = ()


def plan_config_edits(
    image: MetadataImage, resource: ConfigResource, edits: Sequence[ConfigEdit], static: BrokerConfig
) -> ConfigPlan:
    """`static` is the broker's configuration as it was started, without what is dynamic."""
    problem = _edits_problem(edits)
    if problem is not None:
        return _invalid_request(problem)
    refused = _check_resource(image, resource, edits)
    if refused is not None:
        return refused
    before = dict(image.configs_of(resource))
    try:
        after = _edited(resource, before, edits, static)
    except ConfigError as error:
        return ConfigPlan(error=ErrorCode.INVALID_CONFIG, message=str(error))
    try:
        _check_values(image, resource, after, static)
    except ConfigError as error:
        return ConfigPlan(error=_code_of_bad_value(resource, error.key), message=str(error))
    changes = [
        ConfigChanged(resource_type=resource.type, resource_name=resource.name, key=edit.key, value=after.get(edit.key))
        for edit in edits
        if before.get(edit.key) != after.get(edit.key)
    ]
    return ConfigPlan(changes=changes)


def plan_config_replacement(
    image: MetadataImage, resource: ConfigResource, wanted: Sequence[tuple[str, str | None]], static: BrokerConfig
) -> ConfigPlan:
    """As AlterConfigs asks: `wanted` is all that the resource has afterwards, so that other settings go away."""
    named = {key for key, _ in wanted}
    edits = [ConfigEdit(key, ConfigOperation.SET, value) for key, value in wanted]
    edits += [ConfigEdit(key, ConfigOperation.DELETE, None) for key in image.configs_of(resource) if key not in named]
    return plan_config_edits(image, resource, edits, static)


def _edits_problem(edits: Sequence[ConfigEdit]) -> str | None:
    keys = [edit.key for edit in edits]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        return f"the key {twice} appears more than once"
    empty = [edit.key for edit in edits if edit.value is None and edit.operation is not ConfigOperation.DELETE]
    return f"a value is needed for {', '.join(empty)}" if empty else None


def _invalid_request(message: str) -> ConfigPlan:
    return ConfigPlan(error=ErrorCode.INVALID_REQUEST, message=message)


def _code_of_bad_value(resource: ConfigResource, key: str) -> ErrorCode:
    """Kafka answers INVALID_REQUEST for brokers (KAFKA-13609), and for the interval of client metrics."""
    is_request = resource.type == "broker" or (resource.type == "client-metrics" and key != "match")
    return ErrorCode.INVALID_REQUEST if is_request else ErrorCode.INVALID_CONFIG


def _check_resource(image: MetadataImage, resource: ConfigResource, edits: Sequence[ConfigEdit]) -> ConfigPlan | None:
    """Why these keys of this resource cannot be changed at all; None if they can."""
    match resource.type:
        case "topic":
            return _check_topic(image, resource.name)
        case "broker":
            return _check_broker(image, resource.name, edits)
        case _ if not resource.name:
            return _invalid_request(f"the name of a {resource.type.replace('-', ' ')} resource must not be empty")
        case "client-metrics":
            unknown = [edit.key for edit in edits if edit.key not in CLIENT_METRICS_KEYS]
            return _invalid_request(f"client metrics have no setting {unknown[0]}") if unknown else None
        case _:
            return None


def _check_topic(image: MetadataImage, name: str) -> ConfigPlan | None:
    if not name:
        return _invalid_request("settings for all topics are made on brokers; a topic must be named")
    problem = topic_name_problem(name)
    if problem is not None:
        return ConfigPlan(error=ErrorCode.INVALID_TOPIC_EXCEPTION, message=problem)
    if name not in image.topics:
        message = f"there is no topic {name!r}"
        return ConfigPlan(error=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message=message)
    return None


def _check_broker(image: MetadataImage, name: str, edits: Sequence[ConfigEdit]) -> ConfigPlan | None:
    """Keys that nobody knows are kept, as Kafka keeps those of its plugins."""
    if name and not (name.isascii() and name.isdecimal() and int(name) in image.brokers):
        return _invalid_request(f"{name!r} is not the id of a broker of this cluster")
    for edit in edits:
        if edit.operation is ConfigOperation.DELETE:
            continue
        key = broker_key(edit.key)
        if key is not None and key.read_only:
            return _invalid_request(f"{key.name} is read at start only and cannot be changed while the broker runs")
        if not name and is_per_broker(edit.key):
            return _invalid_request(f"{edit.key} cannot be set for the whole cluster; name a broker")
        if is_per_listener(edit.key):
            return _invalid_request(f"{edit.key} can only be set for a listener: listener.name.<name>.{edit.key}")
    return None


def _edited(
    resource: ConfigResource, before: Mapping[str, str], edits: Sequence[ConfigEdit], static: BrokerConfig
) -> dict[str, str]:
    """Raises: ConfigError for APPEND or SUBTRACT to something that is not a list."""
    after = dict(before)
    for edit in edits:
        match edit.operation:
            case ConfigOperation.SET:
                after[edit.key] = edit.value or ""
            case ConfigOperation.DELETE:
                after.pop(edit.key, None)
            case ConfigOperation.APPEND | ConfigOperation.SUBTRACT:
                after[edit.key] = _edited_list(resource, before, edit, static)
    return after


def _edited_list(resource: ConfigResource, before: Mapping[str, str], edit: ConfigEdit, static: BrokerConfig) -> str:
    key = _key_of(resource, edit.key)
    if key is None or key.type is not ConfigType.LIST:
        raise ConfigError(edit.key, edit.value, f"{edit.operation.name} works on lists only")
    present = before.get(edit.key)
    if present is None:
        value = inherited(key, static) if resource.type == "topic" else key.default_value()
        present = show(value) or ""
    elements = list(split_list(present))
    for element in split_list(edit.value or ""):
        if edit.operation is ConfigOperation.APPEND and element not in elements:
            elements.append(element)
        elif edit.operation is ConfigOperation.SUBTRACT and element in elements:
            elements.remove(element)
    return ",".join(elements)


def _key_of(resource: ConfigResource, name: str) -> ConfigKey | None:
    match resource.type:
        case "topic":
            return TOPIC_KEYS.get(name)
        case "group":
            return GROUP_KEYS.get(name)
        case "client-metrics":
            return CLIENT_METRICS_KEYS.get(name)
        case _:
            return broker_key(name)


def _check_values(
    image: MetadataImage, resource: ConfigResource, after: Mapping[str, str], static: BrokerConfig
) -> None:
    """Raises: ConfigError."""
    cluster = image.configs_of(CLUSTER_DEFAULTS)
    match resource.type:
        case "topic":
            TopicConfig.checked(after, static.with_dynamic(cluster))
        case "group":
            GroupConfig.checked(after, static)
        case "client-metrics":
            check_client_metrics(after)
        case _:
            for name, text in after.items():
                key = broker_key(name)
                if key is not None:
                    key.parse(text)
            layers = (after, cluster) if resource.name else (after,)
            TopicConfig.checked({}, static.with_dynamic(*layers))
