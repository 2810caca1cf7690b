"""The serializer port: columns of values to columns of bytes and back.

Batch first: one call per batch, not per record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from mainstem.api.spec import PluginConfig

T = TypeVar("T")


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
    """Descriptor. `name` is what a script writes (`json`), `content_type` what HTTP would call it.

    Raises (`open`): ConfigError for a setting that has the right type and cannot be used, such as a schema.
    """

    name: str
    content_type: str
    open: Callable[[Any], Serializer]
    config: type[PluginConfig] = PluginConfig


def each(convert: Callable[[Any], T], values: Iterable[Any], unfit: tuple[type[Exception], ...]) -> list[T | None]:
    """`[None if value is None else convert(value) for value in values]` that names the place of the first
    unfit value.

    Serializers are written with it: `return each(orjson.loads, data, (orjson.JSONDecodeError,))`.

    Raises: SerdeError where `convert` raised one of `unfit`.
    """
    done: list[T | None] = []
    column = values if isinstance(values, list) else list(values)
    try:
        if None in column:
            done.extend(None if value is None else convert(value) for value in column)
        else:
            # `extend` keeps what came before an error, so the loop in C also knows the place.
            done.extend(map(convert, column))
    except unfit as error:
        raise SerdeError(len(done), str(error) or type(error).__name__) from error
    return done
