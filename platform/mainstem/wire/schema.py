"""What a protocol message looks like: fields, their wire types, and the versions in which each one travels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import msgspec

ZERO_UUID = bytes(16)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message. `type` is a wire type (`int32`, `string`, …), a message name, or `[]` before either."""

    name: str
    type: str
    first_version: int
    last_version: int
    nullable_versions: tuple[int, int] | None
    tag: int | None

    def travels_in(self, version: int) -> bool:
        return self.first_version <= version <= self.last_version

    def is_nullable_in(self, version: int) -> bool:
        span = self.nullable_versions
        return span is not None and span[0] <= version <= span[1]


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request, a response, or a part of one: the union of its fields over all versions, with Kafka's defaults.

    Times are integers in milliseconds (`_ms`), UUIDs are 16 bytes (zero means none), arrays are any sequence.
    """

    layout: ClassVar[tuple[Field, ...]] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """The root message of one direction of one API. `flexible_from` is the first version with compact encodings (KIP-482)."""

    message: type[Message]
    api_key: int
    versions: tuple[int, int]
    flexible_from: int
