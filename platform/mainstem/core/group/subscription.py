"""The topics in a consumer's subscription metadata. Everything else in it belongs to the clients.

    int16 version, int32 count, count x (int16 length, UTF-8 bytes), … fields of later versions

Source: Kafka's `ConsumerProtocol`; version 0 is a prefix of all versions.
"""

from __future__ import annotations

import struct

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_COUNT_AT = 2


def subscribed_topics(metadata: bytes) -> frozenset[str] | None:
    """None if these bytes are not a subscription of the consumer protocol."""
    topics: set[str] = set()
    try:
        (count,) = _INT32.unpack_from(metadata, _COUNT_AT)
        position = _COUNT_AT + _INT32.size
        # Each name takes at least its two length bytes, which bounds the loop by the size of the metadata.
        if count < 0 or count * _INT16.size > len(metadata) - position:
            return None
        for _ in range(count):
            (size,) = _INT16.unpack_from(metadata, position)
            position += _INT16.size
            if size < 0 or position + size > len(metadata):
                return None
            topics.add(metadata[position : position + size].decode())
            position += size
    except (struct.error, UnicodeDecodeError):
        return None
    return frozenset(topics)
