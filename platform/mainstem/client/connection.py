"""How to reach a cluster: bootstrap addresses and client properties, in the names of Kafka's Java clients."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mainstem.client.errors import UnreachableError
from mainstem.client.sasl import credentials, oidc_settings
from mainstem.model.configs.key import split_list
from mainstem.model.errors import ConfigError

CONNECT_TIMEOUT_S = 10.0

_OTHER_NAMES = {
    "buffer.memory": None,
    "default.api.timeout.ms": None,
    "max.block.ms": None,
    "max.poll.records": None,
    "key.serializer": None,
    "value.serializer": None,
    "key.deserializer": None,
    "value.deserializer": None,
    "partitioner.class": None,
    "interceptor.classes": None,
    "metric.reporters": None,
    "max.request.size": "message.max.bytes",
    "send.buffer.bytes": "socket.send.buffer.bytes",
    "receive.buffer.bytes": "socket.receive.buffer.bytes",
    "sasl.jaas.config": None,
    "sasl.login.callback.handler.class": None,
    "security.providers": None,
    "ssl.truststore.location": "ssl.ca.location",
    "ssl.truststore.type": None,
    "ssl.keystore.location": "ssl.certificate.location",
    "ssl.keystore.type": None,
    "group.remote.assignor": "group.remote.assignor",
}
"""Properties of the Java clients that librdkafka calls otherwise, or has no use for (None)."""

COMMON_NAMES = (
    "acks",
    "auto.offset.reset",
    "batch.size",
    "client.id",
    "compression.type",
    "enable.auto.commit",
    "enable.idempotence",
    "fetch.min.bytes",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "linger.ms",
    "max.poll.interval.ms",
    "metadata.max.age.ms",
    "request.timeout.ms",
    "retries",
    "retry.backoff.ms",
    "sasl.mechanism",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "session.timeout.ms",
    "ssl.ca.location",
    "transactional.id",
)
"""For suggestions only: what is right is decided by librdkafka."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """`properties` are client properties by name; they never hold `bootstrap.servers`."""

    bootstrap_servers: str
    properties: Mapping[str, str] = field(default_factory=dict)

    def settings(self, **own: Any) -> dict[str, Any]:
        """The configuration of a librdkafka client. `own` are settings with underscores for dots, and win."""
        translated: dict[str, Any] = {}
        for name, value in self.properties.items():
            renamed = _OTHER_NAMES.get(name, name)
            if renamed is not None:
                translated[renamed] = value
        keys = self.properties.get("ssl.keystore.location")
        if keys is not None:
            # Kafka's PEM store holds the key as well as the certificate.
            translated.setdefault("ssl.key.location", keys)
        if self.properties.get("sasl.mechanism", "").upper() == "OAUTHBEARER":
            translated = oidc_settings(self.properties) | translated
        elif "sasl.jaas.config" in self.properties:
            translated["sasl.username"], translated["sasl.password"] = credentials(self.properties)
        translated |= {name.replace("_", "."): value for name, value in own.items()}
        translated["bootstrap.servers"] = self.bootstrap_servers
        translated["logger"] = _silent_logger()
        return translated

    @property
    def is_plain(self) -> bool:
        """Neither encrypted nor authenticated."""
        return self.properties.get("security.protocol", "PLAINTEXT").upper() == "PLAINTEXT"

    def addresses(self) -> list[tuple[str, int]]:
        """Raises: ConfigError for an address without a host or a port."""
        found = []
        for text in split_list(self.bootstrap_servers):
            host, _, port = text.partition("://")[2].rpartition(":") if "://" in text else text.rpartition(":")
            host = host.removeprefix("[").removesuffix("]")
            if not host or not (port.isascii() and port.isdecimal()):
                raise ConfigError("bootstrap.servers", self.bootstrap_servers, f"{text!r} is not host:port")
            found.append((host, int(port)))
        if not found:
            raise ConfigError("bootstrap.servers", self.bootstrap_servers, "at least one host:port is needed")
        return found

    def probe(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Returns if any bootstrap address accepts connections; librdkafka would try for minutes instead.

        Raises: UnreachableError, ConfigError.
        """
        reasons = []
        for host, port in self.addresses():
            try:
                socket.create_connection((host, port), timeout_s).close()
            except OSError as error:
                reasons.append(error.strerror or str(error))
            else:
                return
        raise UnreachableError(self.bootstrap_servers, reasons[0])


def _silent_logger() -> logging.Logger:
    """librdkafka would write to standard error on its own; what matters comes back as an exception."""
    logger = logging.getLogger("mainstem.client.librdkafka")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
