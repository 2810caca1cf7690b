"""SASL OAUTHBEARER with tokens that a function makes: whoever issues them, a cluster is reached with them.

Librdkafka asks again before a token expires. Client credentials of an OpenID provider need no function: librdkafka fetches
those tokens itself (`sasl.oauthbearer.method=oidc`).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import msgspec

from mainstem.api.context import Log
from mainstem.model.errors import ConfigError

SETTING = "sasl.oauthbearer.token.provider"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """`expires_at_s`: seconds since 1970 (UTC). `principal` is what the broker may call its owner."""

    value: str
    expires_at_s: float
    principal: str = ""

    def __repr__(self) -> str:
        return f"Token('***', expires_at_s={self.expires_at_s})"


TokenProvider = Callable[[], Token]
"""Called in a thread of librdkafka, at first and whenever a token is about to expire; what it raises is tried again."""


def find_provider(path: str) -> TokenProvider:
    """`package.module:function`. Raises: ConfigError."""
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ConfigError(SETTING, path, "the form is module:function")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(SETTING, path, str(error)) from error
    if not callable(found):
        raise ConfigError(SETTING, path, "that is not a function")
    provider: TokenProvider = found
    return provider


class Tokens:
    """Librdkafka's `oauth_cb`."""

    def __init__(self, path: str, log: Log) -> None:
        self._path = path
        self._provider = find_provider(path)
        self._log = log

    def __call__(self, settings: str) -> tuple[str, float, str, dict[str, str]]:
        try:
            token = self._provider()
        except Exception as error:  # user code; librdkafka asks again after ten seconds
            self._log.warning("transport.kafka.no_token", provider=self._path, error=str(error))
            raise
        return token.value, token.expires_at_s, token.principal, {}  # the form that confluent-kafka wants
