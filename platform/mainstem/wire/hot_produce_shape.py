"""Produce requests that repeat: a client in steady flow sends the same bytes but for correlation id, partition and records.

    length  key version  correlation  | client id, [tags], transactional id, acks, timeout, 1 topic, its name or id, 1 partition |
            `key_version`               `prefix`: equal in every request of this shape
    index   size  records  [tags]

`learn` takes the shape of a request that has been decoded once; `scan` then reads a run of such requests of one partition with a
few C calls each, and `pack_replies` writes their answers. v3–13. A request of another shape is left to `wire.hot_produce`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from mainstem.wire.compile import write_uvarint
from mainstem.wire.hot_produce import FLEXIBLE_FROM, OLDEST_SERVED, TOPIC_IDS_FROM, ProduceRequest

_FRAME_HEAD = struct.Struct(">i4si")
_INDEX_SIZE = struct.Struct(">ii")
_INDEX = struct.Struct(">i")
_PREFIX_AT = 12
"""Where the prefix begins, counted from the length field: after length, key and version, correlation id."""
_TAGS_BEHIND = b"\0\0\0"
"""Empty tagged fields of partition, topic and request."""
RUN_REQUESTS_MAX = 512
"""So that a run fits into one `writev` and other connections get their turn."""


class Run(NamedTuple):
    """Consecutive requests of one partition; `end` is the position after the last. `records` are views into the buffer."""

    partition: int
    correlation_ids: list[int]
    records: list[memoryview]
    end: int


class ProduceShape:
    """One topic, one partition per request, no transactional id. `topic` as in `ProduceRequest`."""

    __slots__ = (
        "_flexible",
        "_key_version",
        "_prefix",
        "_reply",
        "_reply_middle",
        "_reply_tail",
        "acks",
        "topic",
        "version",
    )

    def __init__(self, frame_head: bytes, prefix: bytes, version: int, topic: bytes, acks: int) -> None:
        self._key_version = frame_head
        self._prefix = prefix
        self._flexible = version >= FLEXIBLE_FROM
        self.version = version
        self.topic = topic
        self.acks = acks
        self._reply_middle, self._reply_tail = _reply_parts(version, topic)
        start = "q" if version >= 5 else ""
        self._reply = struct.Struct(f">ii{len(self._reply_middle)}sihqq{start}{len(self._reply_tail)}s")

    def scan(self, buffer: bytearray, view: memoryview, position: int, end: int) -> Run | None:
        """The requests of this shape and of one partition that stand whole in `buffer[position:end]`; None if there is none."""
        prefix, key_version, flexible = self._prefix, self._key_version, self._flexible
        index_at = _PREFIX_AT + len(prefix)
        partition = -1
        correlation_ids: list[int] = []
        records: list[memoryview] = []
        while position + index_at + 8 <= end:
            size, found, correlation_id = _FRAME_HEAD.unpack_from(buffer, position)
            frame_end = position + 4 + size
            if frame_end > end or found != key_version or not buffer.startswith(prefix, position + _PREFIX_AT):
                break
            index, records_size = _INDEX_SIZE.unpack_from(buffer, position + index_at)
            if index != partition:
                if correlation_ids:
                    break
                partition = index
            records_at = position + index_at + 8
            records_end = frame_end
            if flexible:
                records_end -= 3
                records_at = _records_at(buffer, records_at - 4, records_end)
                if records_at < 0 or not buffer.startswith(_TAGS_BEHIND, records_end):
                    break
            elif records_size != frame_end - records_at:
                break
            correlation_ids.append(correlation_id)
            records.append(view[records_at:records_end])
            position = frame_end
            if len(records) == RUN_REQUESTS_MAX:
                break
        return Run(partition, correlation_ids, records, position) if records else None

    def pack_replies(
        self, partition: int, correlation_ids: Sequence[int], base_offsets: Sequence[int], log_start_offset: int
    ) -> bytes | bytearray:
        """Whole frames of success, in order."""
        reply, middle, tail = self._reply, self._reply_middle, self._reply_tail
        stride = reply.size
        length = stride - 4
        if len(base_offsets) == 1 and self.version >= 5:
            return reply.pack(
                length, correlation_ids[0], middle, partition, 0, base_offsets[0], -1, log_start_offset, tail
            )
        out = bytearray(stride * len(base_offsets))
        position = 0
        if self.version >= 5:
            for correlation_id, base_offset in zip(correlation_ids, base_offsets, strict=True):
                reply.pack_into(
                    out, position, length, correlation_id, middle, partition, 0, base_offset, -1, log_start_offset, tail
                )
                position += stride
        else:
            for correlation_id, base_offset in zip(correlation_ids, base_offsets, strict=True):
                reply.pack_into(out, position, length, correlation_id, middle, partition, 0, base_offset, -1, tail)
                position += stride
        return out


def _records_at(buffer: bytearray, position: int, records_end: int) -> int:
    """Where the records begin whose compact size stands at `position`, or -1 if it does not reach just to `records_end`."""
    value = shift = 0
    while position < records_end and shift < 35:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return position if position + value - 1 == records_end else -1
        shift += 7
    return -1


def learn(frame: memoryview, version: int, request: ProduceRequest) -> ProduceShape | None:
    """The shape of a request that was decoded from `frame` (without its length field), if it is of the kind that has one."""
    if version < OLDEST_SERVED or request.transactional_id is not None or len(request.topics) != 1:
        return None
    topic, partitions = request.topics[0]
    if len(partitions) != 1 or partitions[0].records is None:
        return None
    flexible = version >= FLEXIBLE_FROM
    records_size = len(partitions[0].records)
    size_bytes = _uvarint_bytes(records_size + 1) if flexible else 4
    index_at = len(frame) - (len(_TAGS_BEHIND) if flexible else 0) - records_size - size_bytes - 4
    if index_at < 8 or _INDEX.unpack_from(frame, index_at)[0] != partitions[0].partition:
        return None  # tagged fields behind the records: rare enough to stay with the general decoder
    return ProduceShape(bytes(frame[:4]), bytes(frame[8:index_at]), version, topic, request.acks)


def _uvarint_bytes(value: int) -> int:
    return max(1, (value.bit_length() + 6) // 7)


def _reply_parts(version: int, topic: bytes) -> tuple[bytes, bytes]:
    """What stands between correlation id and partition index of a reply, and behind its last offset."""
    if version >= TOPIC_IDS_FROM:
        return b"\0\x02" + topic + b"\x02", b"\x01\0\0" + b"\0" + b"\0\0\0\0" + b"\0"
    if version >= FLEXIBLE_FROM:
        return b"\0\x02" + _uvarint(len(topic) + 1) + topic + b"\x02", b"\x01\0\0" + b"\0" + b"\0\0\0\0" + b"\0"
    head = struct.pack(">ih", 1, len(topic)) + topic + struct.pack(">i", 1)
    return head, (b"\0\0\0\0\xff\xff" if version >= 8 else b"") + b"\0\0\0\0"


def _uvarint(value: int) -> bytes:
    out = bytearray()
    write_uvarint(out, value)
    return bytes(out)
