"""Client metrics subscriptions (KIP-714): which metrics clients should send, how often, and which clients.

As on a Kafka without a metrics receiver they can be set and read, and no client ever asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mainstem.model.configs.key import Between, ConfigKey, ConfigType, split_list, table
from mainstem.model.errors import ConfigError

INTERVAL_MS_MIN = 100
INTERVAL_MS_MAX = 3_600_000
PATTERN_CHARS_MAX = 1000
_MATCHED = (
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
)

CLIENT_METRICS_KEYS = table(
    [
        ConfigKey(
            name="interval.ms",
            type=ConfigType.INT,
            default="300000",
            doc="How often the chosen clients send their metrics.",
            allowed=Between(INTERVAL_MS_MIN, INTERVAL_MS_MAX),
            in_effect=False,
        ),
        ConfigKey(
            name="match",
            type=ConfigType.LIST,
            default="",
            doc="Which clients send metrics, as pairs such as client_id=app-.*; an empty list chooses all.",
            in_effect=False,
        ),
        ConfigKey(
            name="metrics",
            type=ConfigType.LIST,
            default="",
            doc="Beginnings of the names of wanted metrics; `*` wants all, an empty list none.",
            in_effect=False,
        ),
    ]
)


def check_client_metrics(texts: Mapping[str, str]) -> None:
    """Raises: ConfigError."""
    for name, text in texts.items():
        CLIENT_METRICS_KEYS[name].parse(text)
    for pair in split_list(texts.get("match", "")):
        _check_pair(pair)


def _check_pair(pair: str) -> None:
    matched, equals, pattern = pair.partition("=")
    if matched.strip() not in _MATCHED or not equals:
        raise ConfigError("match", pair, f"pairs of one of {', '.join(_MATCHED)} and a regular expression")
    if len(pattern) > PATTERN_CHARS_MAX:
        raise ConfigError("match", pair, f"a regular expression of at most {PATTERN_CHARS_MAX} characters")
    try:
        re.compile(pattern.strip())
    except re.error as error:
        raise ConfigError("match", pair, f"a regular expression; this one is none: {error}") from None
