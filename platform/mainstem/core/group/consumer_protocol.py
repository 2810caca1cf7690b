"""What classic consumers put into JoinGroup and get from SyncGroup: Kafka's embedded consumer protocol, versions 0 to 3.

    subscription: int16 version, []string topics, bytes user data, v1 []owned partitions, v2 int32 generation, v3 string rack
    assignment:   int16 version, []partitions, bytes user data

Strings are sized by int16, arrays and bytes by int32 (-1: null); a later version only appends. Source: Kafka's
`ConsumerProtocol`, 4.1.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_NULL = _INT32.pack(-1)
HIGHEST_VERSION = 3
_WITH_OWNED, _WITH_GENERATION, _WITH_RACK = 1, 2, 3


class ConsumerProtocolError(ValueError):
    """These bytes are not of the consumer protocol."""


class Subscription(NamedTuple):
    """`owned` is partitions by topic name, had since `generation` (-1: unknown); `rack_id` None if the client did not say."""

    version: int
    topics: tuple[str, ...]
    owned: Mapping[str, frozenset[int]]
    generation: int
    rack_id: str | None


class ProtocolAssignment(NamedTuple):
    """Partitions by topic name."""

    partitions: Mapping[str, frozenset[int]]
    user_data: bytes


def read_version(metadata: bytes) -> int:
    """Raises: ConsumerProtocolError."""
    return _Reader(metadata).int16()


def read_subscription(metadata: bytes) -> Subscription:
    """Raises: ConsumerProtocolError."""
    reader = _Reader(metadata)
    version = reader.version()
    topics = tuple(reader.string() for _ in range(reader.count(_INT16.size)))
    reader.data()
    owned = reader.partitions() if version >= _WITH_OWNED else {}
    generation = reader.int32() if version >= _WITH_GENERATION else -1
    rack_id = reader.nullable_string() if version >= _WITH_RACK else None
    return Subscription(version, topics, owned, generation, rack_id or None)


def read_assignment(data: bytes) -> ProtocolAssignment:
    """Raises: ConsumerProtocolError."""
    reader = _Reader(data)
    reader.version()
    return ProtocolAssignment(reader.partitions(), reader.data())


def write_assignment(partitions: Mapping[str, frozenset[int]], version: int) -> bytes:
    """In `version`, or the highest known one. Raises: ConsumerProtocolError for a negative version."""
    if version < 0:
        raise ConsumerProtocolError(f"version {version}")
    out = bytearray(_INT16.pack(min(version, HIGHEST_VERSION)))
    out += _INT32.pack(len(partitions))
    for topic, indexes in partitions.items():
        name = topic.encode()
        out += _INT16.pack(len(name)) + name + _INT32.pack(len(indexes))
        for index in sorted(indexes):
            out += _INT32.pack(index)
    return bytes(out + _NULL)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def version(self) -> int:
        version = self.int16()
        if version < 0:
            raise ConsumerProtocolError(f"version {version}")
        return version

    def int16(self) -> int:
        return self._number(_INT16)

    def int32(self) -> int:
        return self._number(_INT32)

    def _number(self, layout: struct.Struct) -> int:
        return int(layout.unpack(self._take(layout.size))[0])

    def _take(self, size: int) -> bytes:
        if size < 0 or size > len(self._data) - self._at:
            raise ConsumerProtocolError(f"{size} bytes at {self._at} of {len(self._data)}")
        self._at += size
        return self._data[self._at - size : self._at]

    def count(self, bytes_each: int) -> int:
        """Of an array whose items take that many bytes at least, which bounds it by the size of the data."""
        count = self.int32()
        if not 0 <= count * bytes_each <= len(self._data) - self._at:
            raise ConsumerProtocolError(f"{count} items at {self._at} of {len(self._data)} bytes")
        return count

    def string(self) -> str:
        text = self.nullable_string()
        if text is None:
            raise ConsumerProtocolError(f"no string at {self._at}")
        return text

    def nullable_string(self) -> str | None:
        size = self.int16()
        if size < 0:
            return None
        try:
            return self._take(size).decode()
        except UnicodeDecodeError as error:
            raise ConsumerProtocolError(str(error)) from None

    def data(self) -> bytes:
        size = self.int32()
        return b"" if size < 0 else self._take(size)

    def partitions(self) -> dict[str, frozenset[int]]:
        found: dict[str, frozenset[int]] = {}
        for _ in range(self.count(_INT16.size + _INT32.size)):
            topic = self.string()
            indexes = frozenset(self.int32() for _ in range(self.count(_INT32.size)))
            found[topic] = found.get(topic, frozenset()) | indexes
        return found
