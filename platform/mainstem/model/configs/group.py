"""Configuration of one group (KIP-1000, KIP-932, KIP-1071): what overrides the broker's defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.key import ConfigKey, ConfigType, Value, at_least, one_of, show, table
from mainstem.model.configs.nearest import suggestion
from mainstem.model.errors import ConfigError

INT, STRING = ConfigType.INT, ConfigType.STRING


_DURATION = re.compile(r"by_duration:P(?=\d|T\d)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d{1,9})?S)?)?", re.IGNORECASE)


class _OffsetReset:
    """Source: KIP-932 and Kafka's `ShareGroupAutoOffsetResetStrategy`."""

    words = "latest, earliest, or by_duration: and an ISO 8601 duration such as PT1H"

    def accepts(self, value: Value) -> bool:
        assert isinstance(value, str)
        return value in ("latest", "earliest") or _DURATION.fullmatch(value) is not None


def _row(name: str, kind: ConfigType, default: str, doc: str, allowed: Any) -> ConfigKey:
    return ConfigKey(name=name, type=kind, default=default, doc=doc, allowed=allowed)


GROUP_KEYS = table(
    [
        _row(
            "consumer.heartbeat.interval.ms",
            INT,
            "5000",
            "How often members of a consumer group call in.",
            at_least(1),
        ),
        _row(
            "consumer.session.timeout.ms",
            INT,
            "45000",
            "After how much silence a member of a consumer group is taken for dead.",
            at_least(1),
        ),
        _row(
            "share.auto.offset.reset",
            STRING,
            "latest",
            "Where a share group starts on a partition that it has never read.",
            _OffsetReset(),
        ),
        _row(
            "share.heartbeat.interval.ms",
            INT,
            "5000",
            "How often members of a share group call in.",
            at_least(1),
        ),
        _row(
            "share.isolation.level",
            STRING,
            "read_uncommitted",
            "Whether a share group sees records of open and aborted transactions.",
            one_of("read_committed", "read_uncommitted"),
        ),
        _row(
            "share.record.lock.duration.ms",
            INT,
            "30000",
            "How long a record handed to a share consumer is its own before others may get it.",
            at_least(1000),
        ),
        _row(
            "share.session.timeout.ms",
            INT,
            "45000",
            "After how much silence a member of a share group is taken for dead.",
            at_least(1),
        ),
        _row(
            "streams.heartbeat.interval.ms",
            INT,
            "5000",
            "How often members of a streams group call in.",
            at_least(1),
        ),
        _row(
            "streams.num.standby.replicas",
            INT,
            "0",
            "How many standby copies of each task's state a streams group keeps.",
            at_least(0),
        ),
        _row(
            "streams.session.timeout.ms",
            INT,
            "45000",
            "After how much silence a member of a streams group is taken for dead.",
            at_least(1),
        ),
    ]
)

_NOT_BROKER_DEFAULTS = ("share.auto.offset.reset", "share.isolation.level")
_BOUNDED_BY_BROKER = {
    "consumer.heartbeat.interval.ms": (
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ),
    "consumer.session.timeout.ms": (
        "group.consumer.min.session.timeout.ms",
        "group.consumer.max.session.timeout.ms",
    ),
    "share.heartbeat.interval.ms": (
        "group.share.min.heartbeat.interval.ms",
        "group.share.max.heartbeat.interval.ms",
    ),
    "share.record.lock.duration.ms": (
        "group.share.min.record.lock.duration.ms",
        "group.share.max.record.lock.duration.ms",
    ),
    "share.session.timeout.ms": ("group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms"),
    "streams.heartbeat.interval.ms": (
        "group.streams.min.heartbeat.interval.ms",
        "group.streams.max.heartbeat.interval.ms",
    ),
    "streams.num.standby.replicas": (None, "group.streams.max.standby.replicas"),
    "streams.session.timeout.ms": (
        "group.streams.min.session.timeout.ms",
        "group.streams.max.session.timeout.ms",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """Made by `resolve`; one field per key of `GROUP_KEYS`, dots written as underscores."""

    consumer_heartbeat_interval_ms: int
    consumer_session_timeout_ms: int
    share_auto_offset_reset: str
    share_heartbeat_interval_ms: int
    share_isolation_level: str
    share_record_lock_duration_ms: int
    share_session_timeout_ms: int
    streams_heartbeat_interval_ms: int
    streams_num_standby_replicas: int
    streams_session_timeout_ms: int

    @classmethod
    def resolve(cls, overrides: Mapping[str, str], broker: BrokerConfig) -> GroupConfig:
        """A group's own settings over the broker's defaults.

        Raises: ConfigError for an unknown key or a bad value.
        """
        for name in overrides:
            if name not in GROUP_KEYS:
                raise ConfigError(name, overrides[name], f"unknown group config name{suggestion(name, GROUP_KEYS)}")
        values: dict[str, Any] = {}
        for key in GROUP_KEYS.values():
            text = overrides.get(key.name)
            values[key.attribute] = _inherited(key, broker) if text is None else key.parse(text)
        return cls(**values)

    @classmethod
    def checked(cls, overrides: Mapping[str, str], broker: BrokerConfig) -> GroupConfig:
        """`resolve` for settings that somebody asks for: values outside the broker's bounds are refused, too.

        Raises: ConfigError.
        """
        config = cls.resolve(overrides, broker)
        for name, text in overrides.items():
            _check_bounds(GROUP_KEYS[name], text, broker)
        return config


def _inherited(key: ConfigKey, broker: BrokerConfig) -> Value:
    if key.name in _NOT_BROKER_DEFAULTS:
        return key.default_value()
    return broker.value(f"group.{key.name}")


def _check_bounds(key: ConfigKey, text: str, broker: BrokerConfig) -> None:
    """Raises: ConfigError."""
    value = key.parse(text)
    for side, name in zip(("least", "most"), _BOUNDED_BY_BROKER.get(key.name, ()), strict=False):
        bound = broker.value(name) if name is not None else None
        if bound is None:
            continue
        assert isinstance(value, int), key
        assert isinstance(bound, int), name
        if (side == "least" and value < bound) or (side == "most" and value > bound):
            raise ConfigError(key.name, text, f"at {side} {show(bound)}, by {name}")
