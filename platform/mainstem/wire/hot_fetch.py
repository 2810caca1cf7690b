"""Fetch, by hand: requests of many partitions in one pass, responses as buffers that never copy the records. v4–18.

v7: sessions (KIP-227). v9: current leader epoch. v11: rack (KIP-392). v12: flexible, last fetched epoch (KIP-595).
v13: topic ids (KIP-516). v15: replica state in a tag (KIP-903). Held equal to `wire.messages.fetch` by tests/protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from mainstem.core.fetch.session import FetchPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import decode, request_schema, skip_tags
from mainstem.wire.compile import MalformedMessage, read_uvarint, write_uvarint

FLEXIBLE_FROM = 12
TOPIC_IDS_FROM = 13
MAX_BYTES_UNLIMITED = 0x7FFFFFFF

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_INT64 = struct.Struct(">q")


class FetchTopic(NamedTuple):
    """`topic` is the name as UTF-8 bytes or, from v13 on, the 16 bytes of the topic id."""

    topic: bytes
    partitions: Sequence[FetchPartition]


class ForgottenTopic(NamedTuple):
    topic: bytes
    partitions: Sequence[int]


class FetchRequest(NamedTuple):
    replica_id: int
    max_wait_ms: int
    min_bytes: int
    max_bytes: int
    isolation_level: int
    session_id: int
    session_epoch: int
    topics: Sequence[FetchTopic]
    forgotten: Sequence[ForgottenTopic]
    rack_id: str


class FetchedPartition(NamedTuple):
    partition: int
    error_code: int
    high_watermark: int
    last_stable_offset: int
    log_start_offset: int
    records: bytes | bytearray | memoryview
    aborted: Sequence[tuple[int, int]] | None = None
    """(producer id, first offset) of transactions that a read_committed client must drop; None for read_uncommitted."""
    diverging: tuple[int, int] | None = None
    """(epoch, its end offset) from which on the reader's log is another one than ours (KIP-595); v12 and later."""


class FetchedTopic(NamedTuple):
    topic: bytes
    partitions: Sequence[FetchedPartition]


def decode_request(frame: memoryview, position: int, version: int) -> FetchRequest:
    """Raises: MalformedMessage, struct.error, IndexError."""
    if version >= FLEXIBLE_FROM:
        return _decode_flexible(frame, position, version)
    head = _HEAD_SESSION if version >= 7 else _HEAD
    fields = head.unpack_from(frame, position)
    position += head.size
    replica_id, max_wait_ms, min_bytes, max_bytes, isolation = fields[:5]
    session_id, session_epoch = fields[5:7] if version >= 7 else (0, -1)
    topic_count = fields[-1]
    _check_count(frame, position, topic_count, "topics")
    row = _ROW_9 if version >= 9 else _ROW_5 if version >= 5 else _ROW_4
    topics = []
    for _ in range(topic_count):
        name, position = _legacy_name(frame, position)
        (count,) = _INT32.unpack_from(frame, position)
        position += 4
        _check_count(frame, position, count, "partitions")
        partitions = []
        for _ in range(count):
            values = row.unpack_from(frame, position)
            position += row.size
            if version >= 9:
                index, epoch, offset, log_start, size = values
            elif version >= 5:
                (index, offset, log_start, size), epoch = values, -1
            else:
                (index, offset, size), epoch, log_start = values, -1, -1
            partitions.append(FetchPartition(index, epoch, offset, -1, log_start, size))
        topics.append(FetchTopic(name, partitions))
    forgotten: list[ForgottenTopic] = []
    rack_id = ""
    if version >= 7:
        position = _decode_forgotten(frame, position, forgotten)
    if version >= 11:
        raw, position = _legacy_name(frame, position)
        rack_id = raw.decode()
    return FetchRequest(
        replica_id, max_wait_ms, min_bytes, max_bytes, isolation, session_id, session_epoch, topics, forgotten, rack_id
    )


_HEAD = struct.Struct(">iiiibi")
_HEAD_SESSION = struct.Struct(">iiiibiii")
_ROW_4 = struct.Struct(">iqi")
_ROW_5 = struct.Struct(">iqqi")
_ROW_9 = struct.Struct(">iiqqi")
_ROW_12 = struct.Struct(">iiqiqi")
_FLEX_HEAD = struct.Struct(">iiibii")


def _legacy_name(frame: memoryview, position: int) -> tuple[bytes, int]:
    (size,) = _INT16.unpack_from(frame, position)
    return bytes(_slice(frame, position + 2, size, "name")), position + 2 + size


def _decode_forgotten(frame: memoryview, position: int, forgotten: list[ForgottenTopic]) -> int:
    (count,) = _INT32.unpack_from(frame, position)
    position += 4
    _check_count(frame, position, count, "forgotten_topics_data")
    for _ in range(count):
        name, position = _legacy_name(frame, position)
        (size,) = _INT32.unpack_from(frame, position)
        position += 4
        _slice(frame, position, size * 4, "forgotten partitions")
        forgotten.append(ForgottenTopic(name, struct.unpack_from(f">{size}i", frame, position)))
        position += size * 4
    return position


def _decode_flexible(frame: memoryview, position: int, version: int) -> FetchRequest:
    start = position
    replica_id = -1
    if version < 15:
        (replica_id,) = _INT32.unpack_from(frame, position)
        position += 4
    max_wait_ms, min_bytes, max_bytes, isolation, session_id, session_epoch = _FLEX_HEAD.unpack_from(frame, position)
    topic_count, position = read_uvarint(frame, position + _FLEX_HEAD.size)
    _check_count(frame, position, topic_count - 1, "topics")
    topics = []
    for _ in range(topic_count - 1):
        topic, position = _flexible_topic(frame, position, version)
        count, position = read_uvarint(frame, position)
        _check_count(frame, position, count - 1, "partitions")
        partitions = []
        for _ in range(count - 1):
            partitions.append(FetchPartition._make(_ROW_12.unpack_from(frame, position)))
            position = _skip_tags(frame, position + _ROW_12.size)
        position = _skip_tags(frame, position)
        topics.append(FetchTopic(topic, partitions))
    forgotten: list[ForgottenTopic] = []
    count, position = read_uvarint(frame, position)
    _check_count(frame, position, count - 1, "forgotten_topics_data")
    for _ in range(count - 1):
        topic, position = _flexible_topic(frame, position, version)
        size, position = read_uvarint(frame, position)
        _slice(frame, position, (size - 1) * 4, "forgotten partitions")
        forgotten.append(ForgottenTopic(topic, struct.unpack_from(f">{size - 1}i", frame, position)))
        position = _skip_tags(frame, position + (size - 1) * 4)
    size, position = read_uvarint(frame, position)
    rack_id = str(_slice(frame, position, size - 1, "rack_id"), "utf-8")
    position += size - 1
    if frame[position] != 0 and version >= 15:
        # A replica announces itself in a tagged field; rare enough for the table-driven codec.
        whole = decode(request_schema(ApiKey.FETCH), version, frame, start)
        replica_id = whole.replica_state.replica_id  # type: ignore[attr-defined]  # the schema says FetchRequest
    return FetchRequest(
        replica_id, max_wait_ms, min_bytes, max_bytes, isolation, session_id, session_epoch, topics, forgotten, rack_id
    )


def _flexible_topic(frame: memoryview, position: int, version: int) -> tuple[bytes, int]:
    if version >= TOPIC_IDS_FROM:
        return bytes(_slice(frame, position, 16, "topic_id")), position + 16
    size, position = read_uvarint(frame, position)
    return bytes(_slice(frame, position, size - 1, "topic")), position + size - 1


def _slice(frame: memoryview, position: int, size: int, name: str) -> memoryview:
    if size < 0 or position + size > len(frame):
        raise MalformedMessage(f"FetchRequest field {name} says {size} bytes, {len(frame) - position} are left")
    return frame[position : position + size]


def _check_count(frame: memoryview, position: int, count: int, name: str) -> None:
    if count < 0 or count > len(frame) - position:
        raise MalformedMessage(f"FetchRequest array {name} says {count} elements")


def _skip_tags(frame: memoryview, position: int) -> int:
    return position + 1 if frame[position] == 0 else skip_tags(frame, position)


_PARTITION_4 = struct.Struct(">ihqq")
_PARTITION_5 = struct.Struct(">ihqqq")
_DIVERGING = struct.Struct(">bbbiqb")


def encode_response(
    correlation_id: int, version: int, error_code: int, session_id: int, topics: Sequence[FetchedTopic]
) -> list[bytes | bytearray | memoryview]:
    """A whole frame as a list of buffers; the records are handed through as they are."""
    buffers: list[bytes | bytearray | memoryview] = []
    out = bytearray(8)
    flexible = version >= FLEXIBLE_FROM
    if flexible:
        out.append(0)
    out += b"\0\0\0\0"
    if version >= 7:
        out += _INT16.pack(error_code)
        out += _INT32.pack(session_id)
    if flexible:
        _encode_topics_flexible(out, buffers, version, topics)
    else:
        _encode_topics_legacy(out, buffers, version, topics)
    head = buffers[0]
    assert isinstance(head, bytearray), "the first buffer is made here"
    _INT32.pack_into(head, 0, sum(len(b) for b in buffers) - 4)
    _INT32.pack_into(head, 4, correlation_id)
    return buffers


def _encode_topics_legacy(
    out: bytearray, buffers: list[bytes | bytearray | memoryview], version: int, topics: Sequence[FetchedTopic]
) -> None:
    out += _INT32.pack(len(topics))
    for topic, partitions in topics:
        out += _INT16.pack(len(topic))
        out += topic
        out += _INT32.pack(len(partitions))
        for index, error, high_watermark, stable, log_start, records, aborted, _ in partitions:
            if version >= 5:
                out += _PARTITION_5.pack(index, error, high_watermark, stable, log_start)
            else:
                out += _PARTITION_4.pack(index, error, high_watermark, stable)
            if aborted is None:
                out += b"\xff\xff\xff\xff"
            else:
                out += _INT32.pack(len(aborted))
                for producer_id, first_offset in aborted:
                    out += struct.pack(">qq", producer_id, first_offset)
            if version >= 11:
                out += b"\xff\xff\xff\xff"
            out += _INT32.pack(len(records))
            if records:
                buffers += (out, records)
                out = bytearray()
    buffers.append(out)


def _encode_topics_flexible(
    out: bytearray, buffers: list[bytes | bytearray | memoryview], version: int, topics: Sequence[FetchedTopic]
) -> None:
    write_uvarint(out, len(topics) + 1)
    for topic, partitions in topics:
        if version < TOPIC_IDS_FROM:
            write_uvarint(out, len(topic) + 1)
        out += topic
        write_uvarint(out, len(partitions) + 1)
        for index, error, high_watermark, stable, log_start, records, aborted, diverging in partitions:
            out += _PARTITION_5.pack(index, error, high_watermark, stable, log_start)
            if aborted is None:
                out.append(0)
            else:
                write_uvarint(out, len(aborted) + 1)
                for producer_id, first_offset in aborted:
                    out += struct.pack(">qqb", producer_id, first_offset, 0)
            out += b"\xff\xff\xff\xff"
            write_uvarint(out, len(records) + 1)
            if records:
                buffers += (out, records)
                out = bytearray()
            out += b"\0" if diverging is None else _DIVERGING.pack(1, 0, 13, *diverging, 0)
        out.append(0)
    out.append(0)
    buffers.append(out)
