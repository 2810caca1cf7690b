"""Sparse lookup tables of a segment: offset -> file position, timestamp -> offset. Kafka's `.index` and `.timeindex`.

.index      int32 relative last offset, int32 position of that batch              one entry per index.interval.bytes
.timeindex  int64 largest timestamp so far, int32 relative offset of its batch    at the same places, and at roll

Source: Kafka's `LogSegment.append`, `OffsetIndex` and `TimeIndex`, 4.1.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from itertools import pairwise

OFFSET_ENTRY_BYTES = 8
TIME_ENTRY = struct.Struct(">qi")


class SegmentIndex:
    """Both tables of one segment in memory; about 20 bytes per entry. Offsets in them are relative to `base_offset`."""

    __slots__ = (
        "_since_entry",
        "base_offset",
        "interval_bytes",
        "max_timestamp",
        "max_timestamp_offset",
        "offsets",
        "positions",
        "time_offsets",
        "times",
    )

    def __init__(self, interval_bytes: int, base_offset: int) -> None:
        self.interval_bytes = interval_bytes
        self.base_offset = base_offset
        self.offsets = array("i")
        self.positions = array("i")
        self.times = array("q")
        self.time_offsets = array("i")
        self.max_timestamp = -1
        self.max_timestamp_offset = -1
        self._since_entry = 0

    def add(self, size: int, last_offset: int, position: int, max_timestamp: int) -> None:
        """Note a batch that starts at `position`. An entry is made when enough bytes came since the one before."""
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset
        if self._since_entry > self.interval_bytes:
            self.offsets.append(last_offset - self.base_offset)
            self.positions.append(position)
            self._add_time_entry()
            self._since_entry = 0
        self._since_entry += size

    def _add_time_entry(self) -> None:
        if self.max_timestamp_offset >= 0 and (not self.times or self.max_timestamp > self.times[-1]):
            self.times.append(self.max_timestamp)
            self.time_offsets.append(self.max_timestamp_offset - self.base_offset)

    @property
    def file_bytes(self) -> int:
        """Size of the larger of the two files."""
        return max(OFFSET_ENTRY_BYTES * len(self.offsets), TIME_ENTRY.size * len(self.times))

    def position_before(self, offset: int) -> int:
        """Position of a batch from which a walk forward meets the batch that contains `offset`."""
        # An entry holds the last offset of its batch, so a batch with a last offset <= `offset` is a safe start.
        slot = bisect_right(self.offsets, offset - self.base_offset) - 1
        return self.positions[slot] if slot >= 0 else 0

    def start_before(self, position: int) -> int:
        """Where the last indexed batch begins that begins at or before `position`; 0 if there is none."""
        slot = bisect_right(self.positions, position) - 1
        return self.positions[slot] if slot >= 0 else 0

    def offset_before_time(self, timestamp: int) -> int | None:
        """An offset at or before the first batch whose max timestamp is >= `timestamp`; None: start of the segment."""
        slot = bisect_right(self.times, timestamp - 1) - 1
        return self.base_offset + self.time_offsets[slot] if slot >= 0 else None

    def encode(self) -> tuple[bytes, bytes]:
        """Contents of `.index` and `.timeindex` of a finished segment."""
        self._add_time_entry()
        return _encode_offsets(self.offsets, self.positions), b"".join(
            map(TIME_ENTRY.pack, self.times, self.time_offsets)
        )

    @classmethod
    def decode(
        cls, interval_bytes: int, base_offset: int, segment_bytes: int, offsets: bytes, times: bytes
    ) -> SegmentIndex | None:
        """None if the files cannot belong to a segment of that size; the segment is walked then.

        Kafka preallocates index files and leaves zeros behind the last entry after a crash; reading stops there.
        """
        index = cls(interval_bytes, base_offset)
        if len(offsets) % OFFSET_ENTRY_BYTES or len(times) % TIME_ENTRY.size:
            return None
        index.offsets, index.positions = _decode_offsets(offsets)
        if not _ascends(index.positions) or not _ascends(index.offsets):
            return None
        if index.positions and not (index.positions[0] > 0 and index.positions[-1] < segment_bytes):
            return None
        for time, relative in TIME_ENTRY.iter_unpack(times):
            if time <= 0 and relative <= 0:
                break
            if relative < 0 or (index.times and time <= index.times[-1]):
                return None
            index.times.append(time)
            index.time_offsets.append(relative)
        if segment_bytes and not index.times:
            return None
        if index.times:
            index.max_timestamp, index.max_timestamp_offset = index.times[-1], base_offset + index.time_offsets[-1]
        return index


def _ascends(values: array[int]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _encode_offsets(offsets: array[int], positions: array[int]) -> bytes:
    entries = array("i", bytes(OFFSET_ENTRY_BYTES * len(offsets)))
    entries[0::2] = offsets
    entries[1::2] = positions
    if sys.byteorder == "little":
        entries.byteswap()
    return entries.tobytes()


def _decode_offsets(content: bytes) -> tuple[array[int], array[int]]:
    """Without the zeros at the end."""
    used = len(content.rstrip(b"\0"))
    entries = array("i")
    entries.frombytes(content[: -(-used // OFFSET_ENTRY_BYTES) * OFFSET_ENTRY_BYTES])
    if sys.byteorder == "little":
        entries.byteswap()
    return entries[0::2], entries[1::2]
