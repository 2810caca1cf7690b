"""Record batch v2, the unit of the log: a view of the 61-byte header over bytes. Records inside are never decoded here.

    offset  field                   offset  field
    0       base offset      int64  27      base timestamp   int64
    8       batch length     int32  35      max timestamp    int64
    12      leader epoch     int32  43      producer id      int64
    16      magic            int8   51      producer epoch   int16
    17      crc (CRC-32C)   uint32  53      base sequence    int32
    21      attributes       int16  57      records count    int32
    23      last offset delta int32 61      records

The CRC covers byte 21 to the end, so base offset and leader epoch are patched in place without touching it.
Source: Kafka's `DefaultRecordBatch`, 4.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from crc32c import crc32c

HEADER_BYTES = 61
LENGTH_PREFIX_BYTES = 12
MAGIC = 2
CRC_FROM = 21

COMPRESSION_MASK = 0x07
ZSTD = 4
CODEC_MAX = ZSTD
TIMESTAMP_TYPE_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40
"""The base timestamp is the time (ms) at which tombstones or the marker in this batch may go (KIP-534)."""

_HEADER = struct.Struct(">qiibIhiqqqhii")
_PREFIX = struct.Struct(">qi")
_EPOCH = struct.Struct(">i")
_CRC = struct.Struct(">I")
_OFFSET = struct.Struct(">q")


class BatchHeader(NamedTuple):
    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return LENGTH_PREFIX_BYTES + self.batch_length

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """The sequence wraps from 2^31 - 1 to 0."""
        return (self.base_sequence + self.last_offset_delta) & 0x7FFFFFFF if self.base_sequence >= 0 else -1

    @property
    def codec(self) -> int:
        return self.attributes & COMPRESSION_MASK

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL_BIT)

    @property
    def delete_horizon_ms(self) -> int:
        """-1 if none is set."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON_BIT else -1

    @property
    def is_log_append_time(self) -> bool:
        return bool(self.attributes & TIMESTAMP_TYPE_BIT)


def read_header(buffer: bytes | bytearray | memoryview, position: int = 0) -> BatchHeader:
    """Raises: struct.error if fewer than 61 bytes are left."""
    return BatchHeader._make(_HEADER.unpack_from(buffer, position))


def batch_size(buffer: bytes | bytearray | memoryview, position: int = 0) -> int:
    """Bytes of the batch that starts at `position`, by its length field; needs 12 bytes of it."""
    return LENGTH_PREFIX_BYTES + int(_PREFIX.unpack_from(buffer, position)[1])


def base_offset(buffer: bytes | bytearray | memoryview, position: int = 0) -> int:
    """Of the batch that starts at `position`; needs 8 bytes of it."""
    return int(_OFFSET.unpack_from(buffer, position)[0])


def iterate(buffer: bytes | bytearray | memoryview) -> Iterator[tuple[int, BatchHeader]]:
    """Yields (position, header) of every whole batch; a cut-off last batch ends the iteration silently."""
    position, end = 0, len(buffer)
    while end - position >= HEADER_BYTES:
        header = read_header(buffer, position)
        if header.batch_length < HEADER_BYTES - LENGTH_PREFIX_BYTES or position + header.size > end:
            return
        yield position, header
        position += header.size


def crc_matches(buffer: bytes | bytearray | memoryview, position: int, header: BatchHeader) -> bool:
    return crc32c(memoryview(buffer)[position + CRC_FROM : position + header.size]) == header.crc


def patch_offset(batch: bytearray | memoryview, position: int, base_offset: int, leader_epoch: int) -> None:
    """Give a batch its place in the log. Both fields lie outside the CRC."""
    _OFFSET.pack_into(batch, position, base_offset)
    _EPOCH.pack_into(batch, position + 12, leader_epoch)


def patch_log_append_time(batch: bytearray | memoryview, position: int, header: BatchHeader, now_ms: int) -> None:
    """Mark the batch as stamped by the broker: attribute bit 3, max timestamp, and the CRC over them."""
    struct.pack_into(">h", batch, position + 21, header.attributes | TIMESTAMP_TYPE_BIT)
    struct.pack_into(">q", batch, position + 35, now_ms)
    _CRC.pack_into(batch, position + 17, crc32c(memoryview(batch)[position + CRC_FROM : position + header.size]))


def build(header: BatchHeader, records: bytes) -> bytes:
    """A whole batch from header fields and encoded records; length and CRC in `header` are ignored and computed."""
    fields = header._replace(batch_length=HEADER_BYTES - LENGTH_PREFIX_BYTES + len(records), crc=0)
    batch = bytearray(_HEADER.pack(*fields)) + records
    _CRC.pack_into(batch, 17, crc32c(memoryview(batch)[CRC_FROM:]))
    return bytes(batch)
