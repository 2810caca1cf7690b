"""Broker settings that are in no list: replication throttles, and those of one listener (`listener.name.<name>.<key>`).

Clients set them at run time as they do with Kafka, `kafka-reassign-partitions` its throttles for one. Source: Kafka's
`DynamicConfig.Broker` and `DynamicBrokerConfig`.
"""

from __future__ import annotations

from dataclasses import replace

from mainstem.model.configs.broker_known import all_broker_keys
from mainstem.model.configs.key import ConfigKey, ConfigType, at_least, table

LISTENER_PREFIX = "listener.name."
_PER_LISTENER = ("ssl.", "sasl.", "principal.builder.class")

_THROTTLES = table(
    ConfigKey(
        name=name,
        type=ConfigType.LONG,
        default="9223372036854775807",
        doc="",
        allowed=at_least(0),
        in_effect=False,
    )
    for name in (
        "leader.replication.throttled.rate",
        "follower.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    )
)


def broker_key(name: str) -> ConfigKey | None:
    """The row of any key that a broker may have; None for one nobody knows."""
    key = all_broker_keys().get(name) or _THROTTLES.get(name)
    if key is None and name.startswith(LISTENER_PREFIX):
        base = all_broker_keys().get(without_listener(name))
        # Listener prefixes are for secrets and limits of listeners; nothing of either has an effect here.
        return replace(base, name=name, doc="", in_effect=False) if base is not None else None
    return key


def without_listener(name: str) -> str:
    """`listener.name.internal.ssl.key.password` → `ssl.key.password`; other names as they are."""
    if not name.startswith(LISTENER_PREFIX):
        return name
    return name.removeprefix(LISTENER_PREFIX).partition(".")[2]


def is_per_broker(name: str) -> bool:
    """Whether the key makes no sense for a whole cluster: keys of TLS and SASL."""
    return without_listener(name).startswith(_PER_LISTENER)


def is_per_listener(name: str) -> bool:
    """Whether a running broker takes the key with a listener's prefix only, and this is not it."""
    return name.startswith(_PER_LISTENER)
