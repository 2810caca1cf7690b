"""The typed view of one topic's effective configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.key import ConfigKey
from mainstem.model.configs.nearest import suggestion
from mainstem.model.configs.topic_keys import INTERNAL_SEGMENT_BYTES, TOPIC_KEYS
from mainstem.model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicConfig:
    """Made by `resolve`; one field per key of `TOPIC_KEYS`, dots written as underscores."""

    cleanup_policy: tuple[str, ...]
    compression_gzip_level: int
    compression_lz4_level: int
    compression_type: str
    compression_zstd_level: int
    delete_retention_ms: int
    file_delete_delay_ms: int
    flush_messages: int
    flush_ms: int
    flush_policy: str
    follower_replication_throttled_replicas: tuple[str, ...]
    index_interval_bytes: int
    leader_replication_throttled_replicas: tuple[str, ...]
    local_retention_bytes: int
    local_retention_ms: int
    max_compaction_lag_ms: int
    max_message_bytes: int
    message_timestamp_after_max_ms: int
    message_timestamp_before_max_ms: int
    message_timestamp_type: str
    min_cleanable_dirty_ratio: float
    min_compaction_lag_ms: int
    min_insync_replicas: int
    preallocate: bool
    remote_log_copy_disable: bool
    remote_log_delete_on_disable: bool
    remote_storage_enable: bool
    retention_bytes: int
    retention_ms: int
    segment_bytes: int
    segment_index_bytes: int
    segment_jitter_ms: int
    segment_ms: int
    unclean_leader_election_enable: bool

    @property
    def is_compacted(self) -> bool:
        return "compact" in self.cleanup_policy

    @classmethod
    def resolve(cls, overrides: Mapping[str, str], broker: BrokerConfig) -> TopicConfig:
        """A topic's own settings over the broker's defaults.

        Raises: ConfigError for an unknown key or a bad value.
        """
        values: dict[str, Any] = {}
        for key in TOPIC_KEYS.values():
            text = overrides.get(key.name)
            values[key.attribute] = inherited(key, broker) if text is None else key.parse(text)
        for name, text in overrides.items():
            if name == INTERNAL_SEGMENT_BYTES.name:
                values["segment_bytes"] = INTERNAL_SEGMENT_BYTES.parse(text)
            elif name not in TOPIC_KEYS:
                raise ConfigError(name, text, f"unknown topic config name{suggestion(name, TOPIC_KEYS)}")
        return cls(**values)

    @classmethod
    def checked(cls, overrides: Mapping[str, str], broker: BrokerConfig) -> TopicConfig:
        """`resolve` for settings that somebody asks for: values that contradict each other are refused, too.

        Raises: ConfigError.
        """
        config = cls.resolve(overrides, broker)
        checked_contradictions(config)
        return config


def inherited(key: ConfigKey, broker: BrokerConfig) -> Any:
    """What a topic has where it sets nothing itself."""
    if key.synonyms:
        return getattr(broker, key.synonyms[0].replace(".", "_"))
    return key.default_value()


def checked_contradictions(config: TopicConfig) -> None:
    if config.min_compaction_lag_ms > config.max_compaction_lag_ms:
        raise ConfigError(
            "min.compaction.lag.ms",
            str(config.min_compaction_lag_ms),
            f"it must not be larger than max.compaction.lag.ms, which is {config.max_compaction_lag_ms}",
        )
    if config.remote_storage_enable:
        raise ConfigError("remote.storage.enable", "true", "this broker has no tiered storage")
