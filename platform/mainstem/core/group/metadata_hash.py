"""One number for the topics a group is subscribed to: when it changes, the group rebalances (KIP-1101).

Bit for bit what Kafka 4.1 stores, so that a group whose log Kafka wrote goes on without a rebalance. XXH3, 64 bits, over
little-endian fields; a string is its UTF-16 units and then their number. Source: Kafka's `Utils.computeTopicHash`, 4.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Protocol

_INT32 = struct.Struct("<i")
_UNSIGNED = struct.Struct("<Q")
_MAGIC = b"\x00"


class _Digest(Protocol):
    def __call__(self, data: bytes, /) -> int: ...


@cache
def _xxh3() -> _Digest:
    # Loaded when the first consumer group shows up: the broker's start does without it.
    from xxhash import xxh3_64_intdigest

    return xxh3_64_intdigest


def topic_hash(name: str, topic_id: bytes, racks: Sequence[Iterable[str]]) -> int:
    """`racks` has one entry per partition: the racks of its replicas' brokers. Unsigned."""
    data = bytearray(_MAGIC)
    data += topic_id[7::-1] + topic_id[:7:-1]
    data += _text(name)
    data += _INT32.pack(len(racks))
    for index, of_partition in enumerate(racks):
        data += _INT32.pack(index)
        for rack in sorted(of_partition):
            data += _INT32.pack(len(rack.encode("utf-16-le")) // 2) + _text(rack)
    return _xxh3()(bytes(data))


def group_hash(hashes_by_topic: dict[str, int]) -> int:
    """Signed, as it is stored; 0 where none of the topics exists."""
    if not hashes_by_topic:
        return 0
    data = b"".join(_UNSIGNED.pack(hashes_by_topic[name]) for name in sorted(hashes_by_topic))
    value = _xxh3()(data)
    return value - (1 << 64) if value >> 63 else value


def _text(text: str) -> bytes:
    units = text.encode("utf-16-le")
    return units + _INT32.pack(len(units) // 2)
