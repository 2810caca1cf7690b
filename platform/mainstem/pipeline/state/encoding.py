"""State as bytes: keys and values as MessagePack, which other tools can read, and never pickle.

The key of an entry of a changelog, and in a store on disk, sorts by step and group:

    step name, UTF-8 | 0x00 | group, 8 bytes, big endian, sign flipped | key, MessagePack

Values are whatever MessagePack knows (numbers, text, bytes, lists, dicts, None, datetimes), dataclasses and
msgspec.Structs; the latter come back as such where the step says of what type its state is. Tuples come back as tuples in
keys and as lists in values.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from typing import Any, get_origin

import msgspec

from mainstem.model.errors import MainstemError
from mainstem.pipeline.state.store import Place

_GROUP = struct.Struct(">Q")
_SIGN = 1 << 63
GROUP_BYTES = 8
TYPED_GROUP = 0
"""Where a step keeps states of its type; others hold what it needs beside them, such as timers."""


class StateError(MainstemError):
    """State that cannot be written or read; the text names the step and the key."""


class StateCodec:
    """Of one step. `state_type` as in `StatefulMap`; None: plain values."""

    def __init__(self, step: str, state_type: Callable[[], Any] | None = None) -> None:
        self.step = step
        self.prefix = step.encode() + b"\0"
        self._encode = msgspec.msgpack.Encoder(enc_hook=_refuse).encode
        self._decode = msgspec.msgpack.Decoder().decode
        self._typed = msgspec.msgpack.Decoder(state_type).decode if _is_typed(state_type) else self._decode

    def key(self, place: Place) -> bytes:
        """Raises: StateError."""
        try:
            return self.prefix + _GROUP.pack(place.group + _SIGN) + self._encode(place.key)
        except (TypeError, OverflowError, struct.error) as error:
            raise StateError(f"step {self.step}: the key {place.key!r:.60} cannot be kept: {error}") from None

    def group_prefix(self, group: int) -> bytes:
        """With which all keys of a group begin; sorts as groups do."""
        return self.prefix + _GROUP.pack(group + _SIGN)

    def value(self, place: Place, value: Any) -> bytes:
        """Raises: StateError."""
        try:
            return self._encode(value)
        except (TypeError, OverflowError) as error:
            raise StateError(
                f"step {self.step}: the state of key {place.key!r:.60} cannot be kept: {error}; use numbers, text, bytes, "
                "lists, dicts, dataclasses or msgspec.Structs"
            ) from None

    def place(self, key: bytes) -> Place:
        """Raises: StateError."""
        start = len(self.prefix)
        try:
            (group,) = _GROUP.unpack_from(key, start)
            return Place(group - _SIGN, with_tuples(self._decode(key[start + GROUP_BYTES :])))
        except (struct.error, msgspec.DecodeError) as error:
            raise StateError(f"step {self.step}: a stored key {key!r:.60} cannot be read: {error}") from None

    def read(self, place: Place, data: bytes) -> Any:
        """Raises: StateError."""
        try:
            return (self._typed if place.group == TYPED_GROUP else self._decode)(data)
        except msgspec.DecodeError as error:
            raise StateError(
                f"step {self.step}: the stored state of key {place.key!r:.60} does not fit its type any more: {error}. Give new "
                "fields a default, or the step another name= to begin anew"
            ) from None


def step_of(key: bytes) -> str | None:
    """Whose entry it is; None if the key is none of ours."""
    name, mark, _ = key.partition(b"\0")
    try:
        return name.decode() if mark else None
    except UnicodeDecodeError:
        return None


def _is_typed(state_type: Callable[[], Any] | None) -> bool:
    if state_type is None:
        return False
    if not isinstance(state_type, type):
        return get_origin(state_type) is not None
    return dataclasses.is_dataclass(state_type) or issubclass(state_type, msgspec.Struct | dict | list | set)


def with_tuples(key: Any) -> Any:
    """Keys are hashable, so a list in one was a tuple."""
    return tuple(with_tuples(part) for part in key) if type(key) is list else key


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is no type that can be stored")
