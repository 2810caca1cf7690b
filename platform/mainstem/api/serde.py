"""The serializer port: columns of values to columns of bytes and back. Batch first: one call per batch, not per record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mainstem.api.spec import PluginConfig


class SerdeError(ValueError):
    """A value that cannot be serialized, or bytes that cannot be read. `index` is its place in the batch."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"record {index} of the batch: {reason}")
        self.index = index
        self.reason = reason


class Serializer(Protocol):
    """None stays None in both directions: a null key or a tombstone."""

    def dumps_many(self, values: Sequence[Any]) -> list[bytes | None]:
        """Raises: SerdeError for the first value that does not fit."""

    def loads_many(self, data: Sequence[bytes | None]) -> list[Any]:
        """Raises: SerdeError for the first that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SerializerSpec:
    """Descriptor. `name` is what a script writes (`json`), `content_type` what HTTP would call it."""

    name: str
    content_type: str
    open: Callable[[PluginConfig], Serializer]
    config: type[PluginConfig] = PluginConfig
