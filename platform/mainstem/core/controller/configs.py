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
from mainstem.model.configs.broker_known import all_broker_keys
from mainstem.model.configs.group import GROUP_KEYS, GroupConfig
from mainstem.model.configs.key import ConfigKey, ConfigType, show, split_list
from mainstem.model.configs.nearest import suggestion
from mainstem.model.configs.topic import TopicConfig, inherited
from mainstem.model.configs.topic_keys import TOPIC_KEYS
from mainstem.model.errors import ConfigError, ErrorCode
from mainstem.model.topic import topic_name_problem

_PER_BROKER = ("ssl.", "sasl.", "principal.builder.class")


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
        return ConfigPlan(error=ErrorCode.INVALID_REQUEST, message=problem)
    if resource.type == "topic":
        refused = _check_topic(image, resource.name)
        if refused is not None:
            return refused
    elif resource.type == "group" and not resource.name:
        return ConfigPlan(error=ErrorCode.INVALID_REQUEST, message="a group's name must not be empty")
    elif resource.type == "broker":
        refused = _check_broker(image, resource.name, edits)
        if refused is not None:
            return refused
    before = dict(image.configs_of(resource))
    try:
        after = _edited(resource, before, edits, static)
        _check_values(image, resource, after, static)
    except ConfigError as error:
        return ConfigPlan(error=ErrorCode.INVALID_CONFIG, message=str(error))
    changes = [
        ConfigChanged(resource_type=resource.type, resource_name=resource.name, key=edit.key, value=after.get(edit.key))
        for edit in edits
        if before.get(edit.key) != after.get(edit.key)
    ]
    return ConfigPlan(changes=changes)


def _edits_problem(edits: Sequence[ConfigEdit]) -> str | None:
    keys = [edit.key for edit in edits]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        return f"the key {twice} appears more than once"
    empty = [edit.key for edit in edits if edit.value is None and edit.operation is not ConfigOperation.DELETE]
    return f"a value is needed for {', '.join(empty)}" if empty else None


def _check_topic(image: MetadataImage, name: str) -> ConfigPlan | None:
    problem = topic_name_problem(name)
    if problem is not None:
        return ConfigPlan(error=ErrorCode.INVALID_TOPIC_EXCEPTION, message=problem)
    if name not in image.topics:
        message = f"there is no topic {name!r}"
        return ConfigPlan(error=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message=message)
    return None


def _check_broker(image: MetadataImage, name: str, edits: Sequence[ConfigEdit]) -> ConfigPlan | None:
    if name and not (name.isascii() and name.isdecimal() and int(name) in image.brokers):
        message = f"{name!r} is not the id of a broker of this cluster"
        return ConfigPlan(error=ErrorCode.INVALID_REQUEST, message=message)
    known = all_broker_keys()
    for edit in edits:
        key = known.get(edit.key)
        if key is None:
            message = f"unknown broker config name {edit.key}{suggestion(edit.key, known)}"
            return ConfigPlan(error=ErrorCode.INVALID_CONFIG, message=message)
        if key.read_only:
            message = f"{key.name} is read at start only and cannot be changed while the broker runs"
            return ConfigPlan(error=ErrorCode.INVALID_REQUEST, message=message)
        if not name and key.name.startswith(_PER_BROKER):
            message = f"{key.name} cannot be set for the whole cluster; name a broker"
            return ConfigPlan(error=ErrorCode.INVALID_REQUEST, message=message)
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
    key = _keys_of(resource).get(edit.key)
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


def _keys_of(resource: ConfigResource) -> Mapping[str, ConfigKey]:
    match resource.type:
        case "topic":
            return TOPIC_KEYS
        case "group":
            return GROUP_KEYS
        case _:
            return all_broker_keys()


def _check_values(
    image: MetadataImage, resource: ConfigResource, after: Mapping[str, str], static: BrokerConfig
) -> None:
    """Raises: ConfigError."""
    cluster = image.configs_of(CLUSTER_DEFAULTS)
    match resource.type:
        case "topic":
            TopicConfig.checked(after, static.with_dynamic(cluster))
        case "group":
            GroupConfig.resolve(after, static)
        case "broker" if resource.name:
            TopicConfig.checked({}, static.with_dynamic(after, cluster))
        case _:
            TopicConfig.checked({}, static.with_dynamic(after))
