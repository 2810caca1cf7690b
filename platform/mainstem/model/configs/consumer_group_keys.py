"""The broker's keys for groups of the consumer protocol (KIP-848). Names, types and defaults are those of Kafka 4.1."""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.model.configs.key import Allowed, ConfigKey, ConfigType, Value, at_least, one_of
from mainstem.model.errors import ConfigError

_JAVA_PACKAGE = "org.apache.kafka.coordinator.group.assignor."
ASSIGNOR_NAMES: Mapping[str, str] = {
    "uniform": "uniform",
    "range": "range",
    f"{_JAVA_PACKAGE}UniformAssignor": "uniform",
    f"{_JAVA_PACKAGE}RangeAssignor": "range",
}
"""Assignors by what an operator may write: Kafka takes the names of its classes, too."""


def _row(name: str, kind: ConfigType, default: str, doc: str, allowed: Allowed | None = None) -> ConfigKey:
    return ConfigKey(
        name=f"group.consumer.{name}", type=kind, default=default, doc=doc, allowed=allowed, read_only=True
    )


CONSUMER_GROUP_KEYS = [
    _row(
        "assignors",
        ConfigType.LIST,
        "uniform,range",
        "Assignors that members of consumer groups may ask for; the first is for those who ask for none.",
        one_of(*ASSIGNOR_NAMES),
    ),
    _row(
        "heartbeat.interval.ms",
        ConfigType.INT,
        "5000",
        "How often members of a consumer group call in, where the group has no setting of its own.",
        at_least(1),
    ),
    _row(
        "min.heartbeat.interval.ms",
        ConfigType.INT,
        "5000",
        "The shortest heartbeat interval that a consumer group may be given.",
        at_least(1),
    ),
    _row(
        "max.heartbeat.interval.ms",
        ConfigType.INT,
        "15000",
        "The longest heartbeat interval that a consumer group may be given.",
        at_least(1),
    ),
    _row(
        "session.timeout.ms",
        ConfigType.INT,
        "45000",
        "After how much silence a member of a consumer group is taken for dead, where the group has no setting of its own.",
        at_least(1),
    ),
    _row(
        "min.session.timeout.ms",
        ConfigType.INT,
        "45000",
        "The shortest session timeout that a consumer group may be given.",
        at_least(1),
    ),
    _row(
        "max.session.timeout.ms",
        ConfigType.INT,
        "60000",
        "The longest session timeout that a consumer group may be given.",
        at_least(1),
    ),
    _row("max.size", ConfigType.INT, "2147483647", "How many members a consumer group may have.", at_least(1)),
    _row(
        "migration.policy",
        ConfigType.STRING,
        "bidirectional",
        "Whether a group with members changes its protocol by itself: `upgrade` when a member of the consumer protocol joins a "
        "classic group, `downgrade` when the last one leaves, `bidirectional` both, `disabled` neither.",
        one_of("bidirectional", "upgrade", "downgrade", "disabled"),
    ),
]


def check_consumer_group(values: Mapping[str, Value]) -> None:
    """`values` by attribute. Raises: ConfigError for values that contradict each other."""
    for what in ("heartbeat_interval_ms", "session_timeout_ms"):
        low, high = f"group_consumer_min_{what}", f"group_consumer_max_{what}"
        _check_order(values, low, high)
        _check_order(values, low, f"group_consumer_{what}")
        _check_order(values, f"group_consumer_{what}", high)
    heartbeat, session = values["group_consumer_heartbeat_interval_ms"], values["group_consumer_session_timeout_ms"]
    assert isinstance(heartbeat, int), heartbeat
    assert isinstance(session, int), session
    if heartbeat >= session:
        raise ConfigError(
            "group.consumer.heartbeat.interval.ms",
            str(heartbeat),
            f"less than group.consumer.session.timeout.ms, which is {session}",
        )
    if not values["group_consumer_assignors"]:
        raise ConfigError("group.consumer.assignors", "", "at least one assignor")


def _check_order(values: Mapping[str, Value], low: str, high: str) -> None:
    smaller, larger = values[low], values[high]
    assert isinstance(smaller, int), low
    assert isinstance(larger, int), high
    if smaller > larger:
        raise ConfigError(low.replace("_", "."), str(smaller), f"at most {high.replace('_', '.')}, which is {larger}")
