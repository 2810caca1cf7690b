"""One segment: what is known of all its batches, and its newest batches themselves.

base_offset          kept_from                 committed                 end_offset
│ in the file only       │ in memory and in the file │ in memory, waiting for  │
│                        │                           │ the next commit         │
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from mainstem.api.storage import BatchSpan, SegmentInfo
from mainstem_plugins.storage_sqlite.schema import LIVE

COMPACT_MIN = 1024
_RECORDS_COUNT = struct.Struct(">i")
_RECORDS_COUNT_AT = 57

SEGMENT_COLUMNS = (
    "segment_id",
    "partition_id",
    "base_offset",
    "end_offset",
    "batches",
    "bytes",
    "max_timestamp",
    "first_timestamp",
    "state",
)


class BatchRow(NamedTuple):
    """Of the table `batches`; the id is given by SQLite."""

    segment_id: int
    base_offset: int
    last_offset: int
    max_timestamp: int
    newest_timestamp: int
    records: int
    size: int
    position: int
    data: bytes


INSERT_BATCH = f"INSERT INTO batches ({', '.join(BatchRow._fields)}) VALUES ({', '.join('?' * len(BatchRow._fields))})"
UPSERT_SEGMENT = (
    f"INSERT INTO segments ({', '.join(SEGMENT_COLUMNS)}) VALUES ({', '.join('?' * len(SEGMENT_COLUMNS))})"
    f" ON CONFLICT (segment_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in SEGMENT_COLUMNS[2:])}"
)


class Segment:
    """Guarded by the lock of its store, except for what never changes.

    The columns in memory hold every batch whose last offset is >= `kept_from`. Their first `_head` rows were given up and wait
    for being cut off together.
    """

    __slots__ = (
        "_base_offsets",
        "_data",
        "_ends",
        "_head",
        "_last_offsets",
        "_times",
        "base_offset",
        "batches",
        "end_offset",
        "first_timestamp",
        "fresh_batches",
        "fresh_bytes",
        "kept_from",
        "max_timestamp",
        "partition_id",
        "segment_id",
        "size",
        "state",
    )

    def __init__(self, segment_id: int, partition_id: int, base_offset: int, state: str = LIVE) -> None:
        self.segment_id = segment_id
        self.partition_id = partition_id
        self.base_offset = base_offset
        self.end_offset = base_offset
        self.state = state
        self.batches = 0
        self.size = 0
        self.max_timestamp = -1
        self.first_timestamp = -1
        self.kept_from = base_offset
        self.fresh_batches = 0
        self.fresh_bytes = 0
        self._head = 0
        self._data: list[bytes] = []
        self._base_offsets = array("q")
        self._last_offsets = array("q")
        self._times = array("q")
        self._ends = array("q")

    @classmethod
    def stored(cls, row: Sequence[int]) -> Segment:
        """Of a row of the table, in the order of SEGMENT_COLUMNS; nothing of it is in memory."""
        segment = cls(row[0], row[1], row[2])
        segment.end_offset = segment.kept_from = row[3]
        segment.batches, segment.size, segment.max_timestamp, segment.first_timestamp = row[4:8]
        return segment

    def row(self) -> tuple[object, ...]:
        return (
            self.segment_id,
            self.partition_id,
            self.base_offset,
            self.end_offset,
            self.batches,
            self.size,
            self.max_timestamp,
            self.first_timestamp,
            self.state,
        )

    def info(self) -> SegmentInfo:
        return SegmentInfo(self.base_offset, self.size, self.max_timestamp, self.first_timestamp)

    def add(self, batch: bytes, span: BatchSpan) -> BatchRow:
        """A batch comes to the end; returns its row of the table."""
        position = self.size
        if span.max_timestamp > self.max_timestamp:
            self.max_timestamp = span.max_timestamp
        if self.batches == 0:
            self.first_timestamp = span.max_timestamp
        self.batches += 1
        self.size += span.size
        self.end_offset = span.last_offset + 1
        records = _RECORDS_COUNT.unpack_from(batch, _RECORDS_COUNT_AT)[0]
        return BatchRow(
            self.segment_id,
            span.base_offset,
            span.last_offset,
            span.max_timestamp,
            self.max_timestamp,
            records,
            span.size,
            position,
            batch,
        )

    def keep(self, row: BatchRow) -> None:
        """Keep the batch that was just added in memory. `fresh_*` count what is kept since the last commit began."""
        self._data.append(row.data)
        self._base_offsets.append(row.base_offset)
        self._last_offsets.append(row.last_offset)
        self._times.append(row.newest_timestamp)
        self._ends.append(self.size)
        self.fresh_batches += 1
        self.fresh_bytes += row.size

    def give_up(self, count: int, last_offset: int) -> None:
        """The oldest `count` batches in memory, up to `last_offset`, are in the file and no longer wanted here."""
        for slot in range(self._head, self._head + count):
            self._data[slot] = b""
        self._head += count
        self.kept_from = last_offset + 1
        if (self._head >= COMPACT_MIN and self._head * 2 > len(self._data)) or self._head == len(self._data):
            for column in (self._base_offsets, self._last_offsets, self._times, self._ends):
                del column[: self._head]
            del self._data[: self._head]
            self._head = 0

    def in_memory(self, offset: int, end_offset: int, max_bytes: int) -> list[bytes]:
        """Whole batches from the one that contains `offset`, or the next one; about `max_bytes`, but at least one."""
        first = bisect_left(self._last_offsets, offset, lo=self._head)
        stop = bisect_left(self._last_offsets, end_offset, lo=self._head)
        if first >= stop:
            return []
        start = self._ends[first] - len(self._data[first])
        fits = bisect_right(self._ends, start + max_bytes, lo=first)
        return self._data[first : min(stop, max(fits, first + 1))]

    def time_in_memory(self, timestamp: int) -> int | None:
        """Base offset of the first batch in memory that is not older; right only if the file has none that comes before."""
        slot = bisect_left(self._times, timestamp, lo=self._head)
        return self._base_offsets[slot] if slot < len(self._times) else None
