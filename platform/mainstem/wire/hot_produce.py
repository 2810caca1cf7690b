"""Produce, by hand: the request without copying its records, the response in one go. v0–13.

v0–2 are read so that they can be refused per partition (they carry message formats that Kafka 4 dropped).
v9: flexible. v10: current leader tags. v13: topic ids (KIP-516). Held equal to `wire.messages.produce` by tests/protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from mainstem.wire.codec import skip_tags
from mainstem.wire.compile import MalformedMessage, read_uvarint, write_uvarint

FLEXIBLE_FROM = 9
TOPIC_IDS_FROM = 13
OLDEST_SERVED = 3

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_ACKS_TIMEOUT_COUNT = struct.Struct(">hii")
_ACKS_TIMEOUT = struct.Struct(">hi")


class PartitionRecords(NamedTuple):
    """`records` is a view into the connection's buffer: valid until the handler returns. None if the field was null."""

    partition: int
    records: memoryview | None


class TopicRecords(NamedTuple):
    """`topic` is the name as UTF-8 bytes or, from v13 on, the 16 bytes of the topic id."""

    topic: bytes
    partitions: Sequence[PartitionRecords]


class ProduceRequest(NamedTuple):
    transactional_id: str | None
    acks: int
    timeout_ms: int
    topics: Sequence[TopicRecords]


class PartitionResult(NamedTuple):
    """`log_append_time_ms` is -1 for CreateTime topics."""

    partition: int
    error_code: int
    base_offset: int
    log_append_time_ms: int
    log_start_offset: int
    error_message: str | None = None
    record_errors: Sequence[tuple[int, str | None]] = ()
    """(index in the batch, what is wrong with that record); told from v8 on."""


class TopicResult(NamedTuple):
    topic: bytes
    partitions: Sequence[PartitionResult]


def decode_request(frame: memoryview, position: int, version: int) -> ProduceRequest:
    """Raises: MalformedMessage, struct.error, IndexError."""
    if version >= FLEXIBLE_FROM:
        return _decode_flexible(frame, position, version)
    transactional_id = None
    if version >= OLDEST_SERVED:
        (size,) = _INT16.unpack_from(frame, position)
        position += 2
        if size >= 0:
            transactional_id = str(_slice(frame, position, size, "transactional_id"), "utf-8")
            position += size
    acks, timeout_ms, topic_count = _ACKS_TIMEOUT_COUNT.unpack_from(frame, position)
    position += 10
    _check_count(frame, position, topic_count, "topic_data")
    topics = []
    for _ in range(topic_count):
        (size,) = _INT16.unpack_from(frame, position)
        position += 2
        name = bytes(_slice(frame, position, size, "name"))
        position += size
        (count,) = _INT32.unpack_from(frame, position)
        position += 4
        _check_count(frame, position, count, "partition_data")
        partitions = []
        for _ in range(count):
            (index,) = _INT32.unpack_from(frame, position)
            (size,) = _INT32.unpack_from(frame, position + 4)
            position += 8
            if size == -1:
                partitions.append(PartitionRecords(index, None))
                continue
            partitions.append(PartitionRecords(index, _slice(frame, position, size, "records")))
            position += size
        topics.append(TopicRecords(name, partitions))
    return ProduceRequest(transactional_id, acks, timeout_ms, topics)


def _decode_flexible(frame: memoryview, position: int, version: int) -> ProduceRequest:
    size, position = read_uvarint(frame, position)
    transactional_id = None
    if size:
        transactional_id = str(_slice(frame, position, size - 1, "transactional_id"), "utf-8")
        position += size - 1
    acks, timeout_ms = _ACKS_TIMEOUT.unpack_from(frame, position)
    topic_count, position = read_uvarint(frame, position + 6)
    _check_count(frame, position, topic_count - 1, "topic_data")
    topics = []
    for _ in range(topic_count - 1):
        if version >= TOPIC_IDS_FROM:
            topic = bytes(_slice(frame, position, 16, "topic_id"))
            position += 16
        else:
            size, position = read_uvarint(frame, position)
            topic = bytes(_slice(frame, position, size - 1, "name"))
            position += size - 1
        count, position = read_uvarint(frame, position)
        _check_count(frame, position, count - 1, "partition_data")
        partitions = []
        for _ in range(count - 1):
            (index,) = _INT32.unpack_from(frame, position)
            size, position = read_uvarint(frame, position + 4)
            records = None
            if size:
                records = _slice(frame, position, size - 1, "records")
                position += size - 1
            position = _skip_tags(frame, position)
            partitions.append(PartitionRecords(index, records))
        position = _skip_tags(frame, position)
        topics.append(TopicRecords(topic, partitions))
    return ProduceRequest(transactional_id, acks, timeout_ms, topics)


def _slice(frame: memoryview, position: int, size: int, name: str) -> memoryview:
    if size < 0 or position + size > len(frame):
        raise MalformedMessage(f"ProduceRequest field {name} says {size} bytes, {len(frame) - position} are left")
    return frame[position : position + size]


def _check_count(frame: memoryview, position: int, count: int, name: str) -> None:
    if count < 0 or count > len(frame) - position:
        raise MalformedMessage(f"ProduceRequest array {name} says {count} elements")


def _skip_tags(frame: memoryview, position: int) -> int:
    return position + 1 if frame[position] == 0 else skip_tags(frame, position)


_INDEX_ERROR_OFFSET = struct.Struct(">ihq")
_TIMED = struct.Struct(">ihqq")
_FULL = struct.Struct(">ihqqq")


def encode_response(correlation_id: int, version: int, topics: Sequence[TopicResult]) -> bytes:
    """A whole frame, length included."""
    out = bytearray(8)
    if version >= FLEXIBLE_FROM:
        _encode_flexible(out, version, topics)
    else:
        _encode_legacy(out, version, topics)
    _INT32.pack_into(out, 0, len(out) - 4)
    _INT32.pack_into(out, 4, correlation_id)
    return bytes(out)


def _encode_legacy(out: bytearray, version: int, topics: Sequence[TopicResult]) -> None:
    out += _INT32.pack(len(topics))
    for topic, partitions in topics:
        out += _INT16.pack(len(topic))
        out += topic
        out += _INT32.pack(len(partitions))
        for index, error, base_offset, append_time, log_start, message, record_errors in partitions:
            if version >= 5:
                out += _FULL.pack(index, error, base_offset, append_time, log_start)
            elif version >= 2:
                out += _TIMED.pack(index, error, base_offset, append_time)
            else:
                out += _INDEX_ERROR_OFFSET.pack(index, error, base_offset)
            if version >= 8 and message is None and not record_errors:
                out += b"\0\0\0\0\xff\xff"
            elif version >= 8:
                out += _INT32.pack(len(record_errors))
                for batch_index, text in record_errors:
                    out += _INT32.pack(batch_index)
                    _put_legacy_string(out, text)
                _put_legacy_string(out, message)
    if version >= 1:
        out += b"\0\0\0\0"


def _encode_flexible(out: bytearray, version: int, topics: Sequence[TopicResult]) -> None:
    out.append(0)
    write_uvarint(out, len(topics) + 1)
    for topic, partitions in topics:
        if version < TOPIC_IDS_FROM:
            write_uvarint(out, len(topic) + 1)
        out += topic
        write_uvarint(out, len(partitions) + 1)
        for index, error, base_offset, append_time, log_start, message, record_errors in partitions:
            out += _FULL.pack(index, error, base_offset, append_time, log_start)
            if message is None and not record_errors:
                out += b"\x01\x00\x00"
                continue
            write_uvarint(out, len(record_errors) + 1)
            for batch_index, text in record_errors:
                out += _INT32.pack(batch_index)
                _put_string(out, text)
                out.append(0)
            _put_string(out, message)
            out.append(0)
        out.append(0)
    out += b"\0\0\0\0\0"


def _put_legacy_string(out: bytearray, text: str | None) -> None:
    if text is None:
        out += b"\xff\xff"
    else:
        raw = text.encode()
        out += _INT16.pack(len(raw))
        out += raw


def _put_string(out: bytearray, text: str | None) -> None:
    if text is None:
        out.append(0)
    else:
        raw = text.encode()
        write_uvarint(out, len(raw) + 1)
        out += raw
