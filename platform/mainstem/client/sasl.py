"""SASL from the client's side: PLAIN (RFC 4616) and SCRAM (RFC 5802). Bytes in, bytes out; whoever holds the socket sends them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Generator, Mapping

from mainstem.model.errors import ConfigError

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
ITERATIONS_MAX = 1_000_000
_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
_JAAS_OPTION = re.compile(r'(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"')

Exchange = Generator[bytes, bytes, None]
"""Yields what is to be sent, is sent what was answered, ends when the broker has been believed."""


class SaslError(Exception):
    """The broker's side of the exchange does not make sense, or it does not know the password."""


def mechanism_of(properties: Mapping[str, str]) -> str:
    """Raises: ConfigError for a mechanism that is not spoken here."""
    name = properties.get("sasl.mechanism") or properties.get("sasl.mechanisms") or "GSSAPI"
    if name.upper() not in MECHANISMS:
        raise ConfigError("sasl.mechanism", name, f"this command speaks {', '.join(MECHANISMS)}")
    return name.upper()


def credentials(properties: Mapping[str, str]) -> tuple[str, str]:
    """User and password, from librdkafka's two properties or from Java's `sasl.jaas.config`. Raises: ConfigError."""
    options = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _JAAS_OPTION.findall(_jaas(properties))}
    user = properties.get("sasl.username", options.get("username"))
    password = properties.get("sasl.password", options.get("password"))
    if user is None or password is None:
        raise ConfigError(
            "sasl.jaas.config", "", "username and password are needed, here or as sasl.username and sasl.password"
        )
    return user, password


_OIDC_NAMES = {
    "clientId": "sasl.oauthbearer.client.id",
    "clientSecret": "sasl.oauthbearer.client.secret",
    "scope": "sasl.oauthbearer.scope",
}


def oidc_settings(properties: Mapping[str, str]) -> dict[str, str]:
    """Librdkafka's names for client credentials (KIP-768), which Java's clients take from `sasl.jaas.config`."""
    options = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _JAAS_OPTION.findall(_jaas(properties))}
    found = {_OIDC_NAMES[name]: value for name, value in options.items() if name in _OIDC_NAMES}
    if "sasl.oauthbearer.token.endpoint.url" in properties:
        found["sasl.oauthbearer.method"] = "oidc"
    return found


def _jaas(properties: Mapping[str, str]) -> str:
    return properties.get("sasl.jaas.config", "")


def exchange(mechanism: str, user: str, password: str, nonce: str | None = None) -> Exchange:
    """The client's part. `nonce` is for tests. Raises, while it runs: SaslError."""
    if mechanism == "PLAIN":
        return _plain(user, password)
    return _scram(_HASHES[mechanism], user, password, nonce or base64.b64encode(os.urandom(24)).decode())


def _plain(user: str, password: str) -> Exchange:
    yield f"\0{user}\0{password}".encode()


def _scram(hash_name: str, user: str, password: str, nonce: str) -> Exchange:
    escaped = user.replace("=", "=3D").replace(",", "=2C")
    first_bare = f"n={escaped},r={nonce}"
    server_first = (yield f"n,,{first_bare}".encode()).decode("utf-8", "replace")
    fields = _fields(server_first)
    if not fields.get("r", "").startswith(nonce) or not fields.get("i", "").isdecimal() or "s" not in fields:
        raise SaslError(f"the broker's first SCRAM message makes no sense: {fields.get('e', server_first)}")
    iterations = int(fields["i"])
    if not 1 <= iterations <= ITERATIONS_MAX:
        raise SaslError(f"the broker asks for {iterations} iterations")
    try:
        salt = base64.b64decode(fields["s"], validate=True)
    except ValueError:
        raise SaslError("the broker's salt is not base64") from None
    salted = hashlib.pbkdf2_hmac(hash_name, password.encode(), salt, iterations)
    final_bare = f"c=biws,r={fields['r']}"
    message = f"{first_bare},{server_first},{final_bare}".encode()
    client_key = hmac.digest(salted, b"Client Key", hash_name)
    signature = hmac.digest(hashlib.new(hash_name, client_key).digest(), message, hash_name)
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    answer = _fields((yield f"{final_bare},p={base64.b64encode(proof).decode()}".encode()).decode("utf-8", "replace"))
    expected = hmac.digest(hmac.digest(salted, b"Server Key", hash_name), message, hash_name)
    if answer.get("v") != base64.b64encode(expected).decode():
        raise SaslError(answer.get("e", "the broker does not know the password"))


def _fields(message: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in message.split(","))
    return {name: value for name, _, value in pairs}
