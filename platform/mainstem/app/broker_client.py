"""How a run reaches a cluster that wants to know who comes: client properties from a file, from the environment, from the URL.

A later one wins: `--broker-config FILE` (or `MAINSTEM_BROKER_CONFIG`) < `MAINSTEM_KAFKA_SASL_PASSWORD` and the like < what
follows `?` in the URL. Names are those of Kafka's Java clients or librdkafka's; values are secrets until they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainstem.api.spec import PluginConfig, Secret
from mainstem.app.settings import environment_key, read_properties
from mainstem.client.connection import Connection
from mainstem.model.errors import ConfigError

CONFIG_VARIABLE = "MAINSTEM_BROKER_CONFIG"
PREFIX = "MAINSTEM_KAFKA_"
BOOTSTRAP = "bootstrap.servers"
OTHERS = "properties"
_STORES = ("ssl.truststore.type", "ssl.keystore.type")


def client_properties(file: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    """As they are written there, `bootstrap.servers` among them. Raises: ConfigError."""
    named = environment.get(CONFIG_VARIABLE)
    path = file if file is not None else Path(named) if named else None
    found = {} if path is None else read_properties(path)
    for name, value in environment.items():
        if name.startswith(PREFIX):
            found[environment_key(name.removeprefix("MAINSTEM_"))] = value
    return found


def transport_settings(
    config: type[PluginConfig], scheme: str, properties: Mapping[str, str], from_url: Mapping[str, str]
) -> dict[str, Any]:
    """Settings of a transport from client properties: those that it names itself, and the others in its `properties`.

    Raises: ConfigError, if the transport takes no client properties or a store of keys is not PEM.
    """
    if not properties:
        return dict(from_url)
    known = {field.encode_name for field in msgspec.structs.fields(config)}
    if OTHERS not in known:
        what = "it is for clusters of Kafka: --broker kafka://host:port"
        raise ConfigError(
            "broker-config", next(iter(properties)), f"transport {scheme} takes no client properties; {what}"
        )
    for name in _STORES:
        if properties.get(name, "PEM").upper() != "PEM":
            raise ConfigError(
                name,
                properties[name],
                "only PEM files are read; keytool and openssl turn a JKS or PKCS12 store into one",
            )
    translated = Connection(bootstrap_servers="", properties=properties).settings()
    del translated["logger"], translated[BOOTSTRAP]
    translated |= from_url
    settings: dict[str, Any] = {name: value for name, value in translated.items() if name in known}
    others = {name: Secret(value) for name, value in translated.items() if name not in known}
    return {**settings, OTHERS: others} if others else settings
