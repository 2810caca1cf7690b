"""Requests encoded once and sent as they are: record batches, Produce 7 and Fetch 11, which Kafka has spoken for years.

The load generator must cost less than the broker it drives, so nothing is encoded while it runs except the
offset of a Fetch and, where a record carries the time it was sent, one record batch with its checksum.
"""

import random
import struct
from dataclasses import dataclass
from typing import Protocol

import crc32c

CLIENT_ID = b"bench"
PRODUCE, FETCH = 0, 1
PRODUCE_TIMEOUT_MS = 30_000
BATCH_HEADER_BYTES = 61
CRC_STARTS, CRC_COVERS_FROM = 17, 21
SEQUENCE_STARTS = 53
_BATCH_LENGTH_STARTS = 12
_MAGIC = 2
_BATCH_FIELDS = struct.Struct(">hiqqqhii")


@dataclass(frozen=True)
class ProducerState:
    """Who sends a batch: no producer id, or one with an epoch and the sequence of the first record."""

    producer_id: int = -1
    epoch: int = -1
    sequence: int = -1


NO_PRODUCER = ProducerState()


@dataclass(frozen=True)
class TopicName:
    """A topic by its name and, for the newer versions, by its 16 bytes of id."""

    name: str
    topic_id: bytes = bytes(16)


def varint(value: int) -> bytes:
    """A signed number in zigzag form, as the fields of a record are written."""
    return unsigned_varint((value << 1) ^ (value >> 63))


def unsigned_varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">h", len(encoded)) + encoded


def record_batch(values: list[bytes], timestamp_ms: int, producer: ProducerState = NO_PRODUCER) -> bytes:
    """An uncompressed batch of magic 2 with these values, without keys."""
    records = bytearray()
    for offset, value in enumerate(values):
        body = b"\x00" + varint(0) + varint(offset) + varint(-1) + varint(len(value)) + value + varint(0)
        records += varint(len(body)) + body
    checked = _BATCH_FIELDS.pack(
        0,
        len(values) - 1,
        timestamp_ms,
        timestamp_ms,
        producer.producer_id,
        producer.epoch,
        producer.sequence,
        len(values),
    )
    crc = crc32c.crc32c(bytes(records), crc32c.crc32c(checked))
    length = BATCH_HEADER_BYTES - _BATCH_LENGTH_STARTS + len(records)
    return struct.pack(">qiibI", 0, length, -1, _MAGIC, crc) + checked + bytes(records)


_STAMPED = record_batch([b"stamp---" + bytes(992)], 0)
STAMP_AT = _STAMPED.index(b"stamp---")
"""Where the value of a batch of one record of a kilobyte without a key begins."""


def random_values(count: int, size: int) -> list[bytes]:
    """Values no codec and no cache can make smaller, the same in every run."""
    source = random.Random(count * size)
    return [source.randbytes(size) for _ in range(count)]


def framed(api_key: int, api_version: int, body: bytes, *, flexible: bool = False) -> bytes:
    """A whole request: length, header v1 or v2, body; the correlation id is 0."""
    header = struct.pack(">hhih", api_key, api_version, 0, len(CLIENT_ID)) + CLIENT_ID
    header += b"\x00" if flexible else b""
    return struct.pack(">i", len(header) + len(body)) + header + body


@dataclass(frozen=True)
class ProduceAnswer:
    """Where the fields of a Produce answer for one partition lie, counted from the start of its frame."""

    error_at: int
    frame_bytes: int

    @property
    def base_offset_at(self) -> int:
        return self.error_at + 2


def produce_7(topic: TopicName, partition: int, acks: int, batch: bytes) -> bytes:
    """A whole Produce 7 frame for one partition."""
    body = struct.pack(">hhi", -1, acks, PRODUCE_TIMEOUT_MS) + struct.pack(">i", 1) + string(topic.name)
    body += struct.pack(">iii", 1, partition, len(batch)) + batch
    return framed(PRODUCE, 7, body)


def produce_7_answer(topic: TopicName) -> ProduceAnswer:
    error_at = 4 + 4 + 4 + 2 + len(topic.name.encode()) + 4 + 4
    return ProduceAnswer(error_at, error_at + 2 + 8 + 8 + 8 + 4)


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    max_bytes: int
    min_bytes: int = 1
    max_wait_ms: int = 500


class Fetch(Protocol):
    """Fetch requests for one partition that move on, and the reader of their answers."""

    in_session: bool
    """Whether the last answer belonged to a fetch session (KIP-227)."""

    def at(self, offset: int) -> bytes:
        """The frame that asks for the records from `offset` on."""
        ...

    def records(self, answer: memoryview) -> memoryview:
        """The record batches of an answer frame, the last one perhaps cut short.

        Raises:
            ValueError: the broker answered with an error.
        """
        ...


class Fetch11:
    """Outside any fetch session: every request is complete."""

    in_session = False

    def __init__(self, topic: TopicName, partition: int, limits: FetchLimits) -> None:
        body = struct.pack(">iiiibii", -1, limits.max_wait_ms, limits.min_bytes, limits.max_bytes, 0, 0, -1)
        body += struct.pack(">i", 1) + string(topic.name) + struct.pack(">iii", 1, partition, -1)
        self._offset_at = len(framed(FETCH, 11, body))
        body += struct.pack(">qqi", 0, -1, limits.max_bytes) + struct.pack(">i", 0) + string("")
        self._frame = bytearray(framed(FETCH, 11, body))
        # length, correlation id, throttle, error, session | topics, name | partitions, index, error ...
        self._error_at = 4 + 4 + 4
        self._partition_error_at = 4 + 4 + 4 + 2 + 4 + 4 + 2 + len(topic.name.encode()) + 4 + 4
        self._aborted_at = self._partition_error_at + 2 + 8 + 8 + 8

    def at(self, offset: int) -> bytes:
        struct.pack_into(">q", self._frame, self._offset_at, offset)
        return bytes(self._frame)

    def records(self, answer: memoryview) -> memoryview:
        (error,) = struct.unpack_from(">h", answer, self._error_at)
        (partition_error,) = (0,) if error else struct.unpack_from(">h", answer, self._partition_error_at)
        if error or partition_error:
            raise ValueError(f"Fetch was answered with error {error or partition_error}")
        (aborted,) = struct.unpack_from(">i", answer, self._aborted_at)
        size_at = self._aborted_at + 4 + 16 * max(aborted, 0) + 4
        (size,) = struct.unpack_from(">i", answer, size_at)
        return answer[size_at + 4 : size_at + 4 + max(size, 0)]


@dataclass(frozen=True)
class UniformBatches:
    """A partition that was filled with batches of one size, so that an answer is read without walking through it."""

    batch_bytes: int
    records_per_batch: int

    def count(self, records: memoryview, offset: int) -> int:
        """How many whole batches an answer holds whose first one must begin at `offset`.

        Raises:
            ValueError: the first or the last whole batch is not where it must be.
        """
        whole = len(records) // self.batch_bytes
        for index in {0, whole - 1} if whole else ():
            (base_offset,) = struct.unpack_from(">q", records, index * self.batch_bytes)
            if base_offset != offset + index * self.records_per_batch:
                raise ValueError(f"batch {index} of a Fetch at offset {offset} begins at offset {base_offset}")
        return whole
