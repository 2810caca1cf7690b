"""TLS for a client, from the properties of Kafka's clients: PEM files under Java's names or under librdkafka's."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

from mainstem.model.errors import ConfigError


def wrapped(line: socket.socket, host: str, properties: Mapping[str, str]) -> socket.socket:
    """Raises: ConfigError for files that cannot be used, OSError if the two sides do not agree."""
    return _context(properties).wrap_socket(line, server_hostname=host)


def _context(properties: Mapping[str, str]) -> ssl.SSLContext:
    for kind in ("ssl.truststore.type", "ssl.keystore.type"):
        if properties.get(kind, "PEM").upper() != "PEM":
            raise ConfigError(kind, properties[kind], "this command reads PEM files only")
    trusted = properties.get("ssl.ca.location") or properties.get("ssl.truststore.location")
    own = properties.get("ssl.certificate.location") or properties.get("ssl.keystore.location")
    key = properties.get("ssl.key.location") or own
    password = properties.get("ssl.key.password")
    try:
        context = ssl.create_default_context(cafile=trusted)
        if own is not None:
            context.load_cert_chain(own, key, password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("ssl.*", trusted or own or "", f"the certificates cannot be read: {error}") from None
    if properties.get("ssl.endpoint.identification.algorithm", "https").lower() in ("", "none"):
        context.check_hostname = False
    if properties.get("enable.ssl.certificate.verification", "true").lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
