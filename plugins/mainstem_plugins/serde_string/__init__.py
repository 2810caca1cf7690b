"""Serializer `string`: text in one encoding, as Kafka's StringSerializer writes it."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

from mainstem.api.hookspecs import hookimpl
from mainstem.api.serde import SerializerSpec, each
from mainstem.api.spec import PluginConfig
from mainstem.model.errors import ConfigError


class StringConfig(PluginConfig, frozen=True, kw_only=True):
    encoding: str = "utf-8"


class StringSerializer:
    def __init__(self, config: StringConfig) -> None:
        try:
            "".encode(config.encoding)
        except LookupError:  # also for codecs such as base64, which Python knows and which are no text encodings
            raise ConfigError("encoding", config.encoding, "a text encoding that Python knows") from None
        self._encoding = codecs.lookup(config.encoding).name

    def dumps_many(self, values: Sequence[Any]) -> list[bytes | None]:
        return each(self._dumps, values, (UnicodeError, TypeError))

    def loads_many(self, data: Sequence[bytes | None]) -> list[Any]:
        return each(self._loads, data, (UnicodeError,))

    def _dumps(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"expected text, got {type(value).__name__} {value!r:.60}")
        return value.encode(self._encoding)

    def _loads(self, data: bytes) -> str:
        return data.decode(self._encoding)


@hookimpl
def mainstem_register_serializers() -> list[SerializerSpec]:
    return [SerializerSpec(name="string", content_type="text/plain", open=StringSerializer, config=StringConfig)]
