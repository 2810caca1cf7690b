"""Requests encoded once and sent as they are: Produce 7 and Fetch 11, versions every Kafka of the last years speaks.

The load generator must cost less than the broker it drives, so nothing is encoded while it runs except the
offset of a Fetch and, where a record carries the time it was sent, one record batch with its checksum.
"""

import random
import struct
from dataclasses import dataclass

import crc32c

_CLIENT_ID = b"bench"
_PRODUCE, _PRODUCE_VERSION = 0, 7
_FETCH, _FETCH_VERSION = 1, 11
_MAGIC = 2
_NO_PRODUCER = -1
_BATCH_HEADER_BYTES = 61
_BATCH_LENGTH_STARTS = 12
_CRC_STARTS, _CRC_COVERS_FROM = 17, 21
_TIMEOUT_MS = 30_000


def _varint(value: int) -> bytes:
    """A signed number in zigzag form, as the fields of a record are written."""
    left = (value << 1) ^ (value >> 63)
    written = bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">h", len(encoded)) + encoded


def record_batch(values: list[bytes], timestamp_ms: int) -> bytes:
    """An uncompressed batch of magic 2 with these values, without keys and without a producer id."""
    records = bytearray()
    for offset, value in enumerate(values):
        body = b"\x00" + _varint(0) + _varint(offset) + _varint(-1) + _varint(len(value)) + value + _varint(0)
        records += _varint(len(body)) + body
    checked = struct.pack(
        ">hiqqqhii",
        0,
        len(values) - 1,
        timestamp_ms,
        timestamp_ms,
        _NO_PRODUCER,
        -1,
        -1,
        len(values),
    )
    crc = crc32c.crc32c(bytes(records), crc32c.crc32c(checked))
    length = _BATCH_HEADER_BYTES - _BATCH_LENGTH_STARTS + len(records)
    return struct.pack(">qiibI", 0, length, -1, _MAGIC, crc) + checked + bytes(records)


_STAMPED = record_batch([b"stamp---" + bytes(992)], 0)
STAMP_AT = _STAMPED.index(b"stamp---")
"""Where the value of a batch of one record of a kilobyte without a key begins."""


def random_values(count: int, size: int) -> list[bytes]:
    """Values no codec and no cache can make smaller, the same in every run."""
    source = random.Random(count * size)
    return [source.randbytes(size) for _ in range(count)]


def _framed(api_key: int, api_version: int, body: bytes) -> bytes:
    header = struct.pack(">hhih", api_key, api_version, 0, len(_CLIENT_ID)) + _CLIENT_ID
    return struct.pack(">i", len(header) + len(body)) + header + body


def produce_request(topic: str, partition: int, acks: int, batch: bytes) -> bytes:
    """A whole Produce 7 frame for one partition."""
    body = struct.pack(">hhi", -1, acks, _TIMEOUT_MS) + struct.pack(">i", 1) + _string(topic)
    body += struct.pack(">iii", 1, partition, len(batch)) + batch
    return _framed(_PRODUCE, _PRODUCE_VERSION, body)


@dataclass(frozen=True)
class ProduceAnswer:
    """Where the fields of a Produce 7 answer for one partition lie, counted from the start of its frame."""

    error_at: int
    frame_bytes: int

    @classmethod
    def of(cls, topic: str) -> "ProduceAnswer":
        error_at = 4 + 4 + 4 + 2 + len(topic.encode()) + 4 + 4
        return cls(error_at, error_at + 2 + 8 + 8 + 8 + 4)


def fetch_request(topic: str, partition: int, *, max_bytes: int, min_bytes: int, max_wait_ms: int) -> "Fetch":
    """A Fetch 11 frame for one partition, outside any fetch session, whose offset can be changed in place."""
    body = struct.pack(">iiiibii", -1, max_wait_ms, min_bytes, max_bytes, 0, 0, -1)
    body += struct.pack(">i", 1) + _string(topic) + struct.pack(">iii", 1, partition, -1)
    before_offset = len(_framed(_FETCH, _FETCH_VERSION, body))
    body += struct.pack(">qqi", 0, -1, max_bytes) + struct.pack(">i", 0) + _string("")
    return Fetch(bytearray(_framed(_FETCH, _FETCH_VERSION, body)), before_offset, len(topic.encode()))


class Fetch:
    """A Fetch request that moves on, and the reader of its answers."""

    def __init__(self, frame: bytearray, offset_at: int, topic_bytes: int) -> None:
        self._frame = frame
        self._offset_at = offset_at
        # length, correlation id, throttle, error, session | topics, name | partitions, index, error ...
        self._error_at = 4 + 4 + 4
        self._partition_error_at = 4 + 4 + 4 + 2 + 4 + 4 + 2 + topic_bytes + 4 + 4
        self._aborted_at = self._partition_error_at + 2 + 8 + 8 + 8

    def at(self, offset: int) -> bytes:
        """The frame that asks for the records from `offset` on."""
        struct.pack_into(">q", self._frame, self._offset_at, offset)
        return bytes(self._frame)

    def records(self, answer: memoryview) -> memoryview:
        """The record batches of an answer frame, the last one perhaps cut short.

        Raises:
            ValueError: the broker answered with an error.
        """
        (error,) = struct.unpack_from(">h", answer, self._error_at)
        (partition_error,) = struct.unpack_from(">h", answer, self._partition_error_at)
        if error or partition_error:
            raise ValueError(f"Fetch was answered with error {error or partition_error}")
        (aborted,) = struct.unpack_from(">i", answer, self._aborted_at)
        size_at = self._aborted_at + 4 + 16 * max(aborted, 0) + 4
        (size,) = struct.unpack_from(">i", answer, size_at)
        return answer[size_at + 4 : size_at + 4 + max(size, 0)]


@dataclass(frozen=True)
class Batches:
    """What a run of whole record batches holds."""

    next_offset: int
    records: int
    bytes: int


def walk_batches(records: memoryview, offset: int) -> Batches:
    """Read the headers of the whole batches in `records`; `offset` is the answer when there is none."""
    at, count = 0, 0
    while at + _BATCH_HEADER_BYTES <= len(records):
        base_offset, length = struct.unpack_from(">qi", records, at)
        if at + _BATCH_LENGTH_STARTS + length > len(records):
            break
        (last_offset_delta,) = struct.unpack_from(">i", records, at + 23)
        # The first batch may begin before the offset that was asked for.
        count += base_offset + last_offset_delta + 1 - max(offset, base_offset)
        offset = base_offset + last_offset_delta + 1
        at += _BATCH_LENGTH_STARTS + length
    return Batches(offset, count, at)
