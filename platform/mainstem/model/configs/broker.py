"""The typed view of one broker's effective configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainstem.model.cluster import Endpoint
from mainstem.model.configs.broker_keys import DEFAULT_LISTENERS, DEFAULT_PROTOCOL_MAP, FLUSH, HONOURED_KEYS
from mainstem.model.configs.broker_known import all_broker_keys
from mainstem.model.configs.connections import read_overrides
from mainstem.model.configs.consumer_group_keys import check_consumer_group
from mainstem.model.configs.key import ConfigKey, Value, split_list
from mainstem.model.configs.listeners import (
    check_advertised,
    check_ports,
    parse_listeners,
    parse_protocol_map,
)
from mainstem.model.errors import ConfigError

SERVED_PROTOCOLS = ("PLAINTEXT",)
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig:
    """Made by `from_texts`; one field per honoured key, dots written as underscores.

    Keys of one family are folded into the one with the finest unit (`log_retention_ms`, `log_roll_ms`,
    `log_roll_jitter_ms`, `log_flush_interval_ms`), `log.dir` into `log_dirs`, `broker.id` into `node_id`.
    """

    add_partitions_to_txn_retry_backoff_max_ms: int
    add_partitions_to_txn_retry_backoff_ms: int
    advertised_listeners: tuple[Endpoint, ...] | None
    auto_create_topics_enable: bool
    broker_rack: str | None
    compression_gzip_level: int
    compression_lz4_level: int
    compression_type: str
    compression_zstd_level: int
    connections_max_idle_ms: int
    coordinator: str
    default_replication_factor: int
    delete_topic_enable: bool
    faults_enable: bool
    faults_seed: int
    fetch_max_bytes: int
    group_consumer_assignors: tuple[str, ...]
    group_consumer_heartbeat_interval_ms: int
    group_consumer_max_heartbeat_interval_ms: int
    group_consumer_max_session_timeout_ms: int
    group_consumer_max_size: int
    group_consumer_migration_policy: str
    group_consumer_min_heartbeat_interval_ms: int
    group_consumer_min_session_timeout_ms: int
    group_consumer_session_timeout_ms: int
    group_initial_rebalance_delay_ms: int
    group_max_session_timeout_ms: int
    group_max_size: int
    group_min_session_timeout_ms: int
    inter_broker_listener_name: str
    listeners: tuple[Endpoint, ...]
    log_cleaner_backoff_ms: int
    log_cleaner_dedupe_buffer_size: int
    log_cleaner_delete_retention_ms: int
    log_cleaner_enable: bool
    log_cleaner_io_buffer_load_factor: float
    log_cleaner_io_buffer_size: int
    log_cleaner_io_max_bytes_per_second: float
    log_cleaner_max_compaction_lag_ms: int
    log_cleaner_min_cleanable_ratio: float
    log_cleaner_min_compaction_lag_ms: int
    log_cleanup_policy: tuple[str, ...]
    log_dirs: tuple[str, ...]
    log_flush_interval_messages: int
    log_flush_interval_ms: int
    log_flush_offset_checkpoint_interval_ms: int
    log_flush_policy: str
    log_flush_scheduler_interval_ms: int
    log_flush_start_offset_checkpoint_interval_ms: int
    log_index_interval_bytes: int
    log_index_size_max_bytes: int
    log_local_retention_bytes: int
    log_local_retention_ms: int
    log_message_timestamp_after_max_ms: int
    log_message_timestamp_before_max_ms: int
    log_message_timestamp_type: str
    log_preallocate: bool
    log_retention_bytes: int
    log_retention_check_interval_ms: int
    log_retention_ms: int
    log_roll_jitter_ms: int
    log_roll_ms: int
    log_segment_bytes: int
    log_segment_delete_delay_ms: int
    log_storage: str
    max_connections: int
    max_connections_per_ip: int
    max_connections_per_ip_overrides: Mapping[str, int]
    max_incremental_fetch_session_cache_slots: int
    max_request_partition_size_limit: int
    message_max_bytes: int
    metrics_host: str
    metrics_port: int | None
    min_insync_replicas: int
    node_id: int
    num_partitions: int
    offset_metadata_max_bytes: int
    offsets_commit_timeout_ms: int
    offsets_retention_check_interval_ms: int
    offsets_retention_minutes: int
    offsets_topic_compression_codec: int
    offsets_topic_num_partitions: int
    offsets_topic_replication_factor: int
    offsets_topic_segment_bytes: int
    producer_id_expiration_ms: int
    queued_max_request_bytes: int
    request_timeout_ms: int
    socket_request_max_bytes: int
    transaction_abort_timed_out_transaction_cleanup_interval_ms: int
    transaction_max_timeout_ms: int
    transaction_partition_verification_enable: bool
    transaction_remove_expired_transaction_cleanup_interval_ms: int
    transaction_state_log_min_isr: int
    transaction_state_log_num_partitions: int
    transaction_state_log_replication_factor: int
    transaction_state_log_segment_bytes: int
    transactional_id_expiration_ms: int
    unclean_leader_election_enable: bool
    given: Mapping[str, str]
    """The texts of the keys that the operator set, known to us or not."""

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> BrokerConfig:
        """Raises: ConfigError for a bad value of any known key, or values that contradict each other."""
        parsed = {key.name: key.parse(texts[key.name]) for key in _keys_among(texts)}
        values: dict[str, Any] = {
            key.attribute: parsed[key.name] if key.name in parsed else key.default_value()
            for key in HONOURED_KEYS.values()
        }
        _fold_times(values, parsed)
        _fold_names(values, parsed)
        _fold_listeners(values, texts)
        check_consumer_group(values)
        values["max_connections_per_ip_overrides"] = read_overrides(values["max_connections_per_ip_overrides"])
        for folded in _FOLDED:
            del values[folded]
        config = cls(given=dict(texts), **values)
        _check_contradictions(config)
        return config

    def with_dynamic(self, *layers: Mapping[str, str]) -> BrokerConfig:
        """This configuration below dynamic ones, the strongest first: this broker's, the cluster's defaults.

        Raises: ConfigError.
        """
        if not any(layers):
            return self
        texts = dict(self.given)
        for layer in reversed(layers):
            texts.update(layer)
        return BrokerConfig.from_texts(texts)

    def value(self, name: str) -> Value:
        """The value of any known key, with an effect or not; families are not folded."""
        key = all_broker_keys()[name]
        return key.parse(self.given[name]) if name in self.given else key.default_value()

    def plugin_settings(self, prefix: str) -> Mapping[str, str]:
        """What was set below `log.storage.` or `coordinator.`, names without the prefix."""
        return {name.removeprefix(prefix): text for name, text in self.given.items() if name.startswith(prefix)}


_FOLDED = (
    "log_retention_minutes",
    "log_retention_hours",
    "log_roll_hours",
    "log_roll_jitter_hours",
    "log_dir",
    "broker_id",
    "listener_security_protocol_map",
    "controller_listener_names",
)


def _keys_among(texts: Mapping[str, str]) -> list[ConfigKey]:
    """Rows of the keys that are set. The long table of keys without effect is built only if need be."""
    rows = [HONOURED_KEYS[name] for name in texts if name in HONOURED_KEYS]
    if len(rows) < len(texts):
        known = all_broker_keys()
        rows += [known[name] for name in texts if name not in HONOURED_KEYS and name in known]
    return rows


def _fold_times(values: dict[str, Any], parsed: Mapping[str, Value]) -> None:
    """Source: Kafka's `KafkaConfig.getLogRetentionTimeMillis` and its neighbours."""
    if values["log_retention_ms"] is None:
        minutes, hours = values["log_retention_minutes"], values["log_retention_hours"]
        values["log_retention_ms"] = minutes * MINUTE_MS if minutes is not None else hours * HOUR_MS
    # Any negative time means no limit, also one that came about by multiplying -1.
    values["log_retention_ms"] = max(-1, values["log_retention_ms"])
    if values["log_retention_ms"] == 0:
        name = next(
            name for name in ("log.retention.ms", "log.retention.minutes", "log.retention.hours") if name in parsed
        )
        raise ConfigError(name, "0", "-1 for no limit, or more than 0")
    if values["log_roll_ms"] is None:
        values["log_roll_ms"] = values["log_roll_hours"] * HOUR_MS
    if values["log_roll_jitter_ms"] is None:
        values["log_roll_jitter_ms"] = values["log_roll_jitter_hours"] * HOUR_MS
    if values["log_flush_interval_ms"] is None:
        values["log_flush_interval_ms"] = values[FLUSH[1].replace(".", "_")]


def _fold_names(values: dict[str, Any], parsed: Mapping[str, Value]) -> None:
    node_id, broker_id = parsed.get("node.id"), parsed.get("broker.id", -1)
    if broker_id != -1:
        if node_id is not None and node_id != broker_id:
            raise ConfigError("broker.id", str(broker_id), f"it must equal node.id, which is {node_id}")
        values["node_id"] = broker_id
    dirs = split_list(values["log_dirs"] or values["log_dir"])
    for directory in dirs:
        if not directory or dirs.count(directory) > 1:
            raise ConfigError("log.dirs", ",".join(dirs), "directories must be named once each, none of them empty")
    values["log_dirs"] = dirs


def _fold_listeners(values: dict[str, Any], texts: Mapping[str, str]) -> None:
    key = "listener.security.protocol.map"
    controllers = {name.strip().upper() for name in split_list(values["controller_listener_names"] or "")}
    if key in texts:
        protocols = dict(parse_protocol_map(key, texts[key]))
    else:
        protocols = dict.fromkeys(controllers, "PLAINTEXT") | dict(parse_protocol_map(key, DEFAULT_PROTOCOL_MAP))
    text = texts.get("listeners", DEFAULT_LISTENERS)
    listeners = parse_listeners("listeners", text, protocols)
    check_ports("listeners", text, listeners)
    values["listeners"] = tuple(listener for listener in listeners if listener.listener not in controllers)
    if not values["listeners"]:
        raise ConfigError(
            "listeners", text, "no listener is left for clients; all of them are in controller.listener.names"
        )
    for listener in values["listeners"]:
        if listener.security_protocol not in SERVED_PROTOCOLS:
            raise ConfigError(
                "listeners",
                text,
                f"{listener.listener} is {listener.security_protocol}, served so far is PLAINTEXT",
            )
    _fold_advertised(values, texts, protocols, controllers)
    inter_broker = values["inter_broker_listener_name"] or values["listeners"][0].listener
    names = [listener.listener for listener in values["listeners"]]
    if inter_broker.upper() not in names:
        raise ConfigError("inter.broker.listener.name", inter_broker, f"the listeners are {', '.join(names)}")
    values["inter_broker_listener_name"] = inter_broker.upper()


def _fold_advertised(
    values: dict[str, Any], texts: Mapping[str, str], protocols: Mapping[str, str], controllers: set[str]
) -> None:
    text = texts.get("advertised.listeners", "")
    values["advertised_listeners"] = None
    if not text.strip():
        return
    advertised = parse_listeners("advertised.listeners", text, protocols)
    advertised = tuple(endpoint for endpoint in advertised if endpoint.listener not in controllers)
    check_advertised("advertised.listeners", text, advertised, values["listeners"])
    values["advertised_listeners"] = advertised or None


def _check_contradictions(config: BrokerConfig) -> None:
    if config.group_min_session_timeout_ms > config.group_max_session_timeout_ms:
        raise ConfigError(
            "group.min.session.timeout.ms",
            str(config.group_min_session_timeout_ms),
            f"at most group.max.session.timeout.ms, which is {config.group_max_session_timeout_ms}",
        )
    if config.log_cleaner_min_compaction_lag_ms > config.log_cleaner_max_compaction_lag_ms:
        raise ConfigError(
            "log.cleaner.min.compaction.lag.ms",
            str(config.log_cleaner_min_compaction_lag_ms),
            f"at most log.cleaner.max.compaction.lag.ms, which is {config.log_cleaner_max_compaction_lag_ms}",
        )
    if config.faults_enable and config.metrics_port is None:
        raise ConfigError("faults.enable", "true", "it needs metrics.port, beside which /faults is served")
    if config.max_connections_per_ip == 0 and not config.max_connections_per_ip_overrides:
        raise ConfigError("max.connections.per.ip", "0", "0 needs max.connections.per.ip.overrides")
    if -1 < config.queued_max_request_bytes < config.socket_request_max_bytes:
        raise ConfigError(
            "queued.max.request.bytes",
            str(config.queued_max_request_bytes),
            f"-1, or at least socket.request.max.bytes, which is {config.socket_request_max_bytes}",
        )
