"""Sparse lookup tables of a segment: offset -> file position, timestamp -> offset. Kafka's `.index` and `.timeindex`.

.index      int32 relative last offset, int32 position of that batch              one entry per index.interval.bytes
.timeindex  int64 largest timestamp so far, int32 relative offset of its batch    at the same places, and at roll
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right

_OFFSET_ENTRY = struct.Struct(">ii")
_TIME_ENTRY = struct.Struct(">qi")


class SegmentIndex:
    """Both tables of one segment in memory; about 24 bytes per entry."""

    __slots__ = (
        "_since_entry",
        "interval_bytes",
        "max_timestamp",
        "max_timestamp_offset",
        "offsets",
        "positions",
        "time_offsets",
        "times",
    )

    def __init__(self, interval_bytes: int) -> None:
        self.interval_bytes = interval_bytes
        self.offsets = array("q")
        self.positions = array("q")
        self.times = array("q")
        self.time_offsets = array("q")
        self.max_timestamp = -1
        self.max_timestamp_offset = -1
        self._since_entry = 0

    def add(self, size: int, last_offset: int, position: int, max_timestamp: int) -> None:
        """Note a batch that starts at `position`. An entry is made when enough bytes came since the one before."""
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset
        if self._since_entry > self.interval_bytes:
            self.offsets.append(last_offset)
            self.positions.append(position)
            self._add_time_entry()
            self._since_entry = 0
        self._since_entry += size

    def _add_time_entry(self) -> None:
        if self.max_timestamp_offset >= 0 and (not self.times or self.max_timestamp > self.times[-1]):
            self.times.append(self.max_timestamp)
            self.time_offsets.append(self.max_timestamp_offset)

    def position_before(self, offset: int) -> int:
        """Position of a batch from which a walk forward meets the batch that contains `offset`."""
        # An entry holds the last offset of its batch, so a batch with a last offset <= `offset` is a safe start.
        slot = bisect_right(self.offsets, offset) - 1
        return self.positions[slot] if slot >= 0 else 0

    def offset_before_time(self, timestamp: int) -> int | None:
        """An offset at or before the first batch whose max timestamp is >= `timestamp`; None: start of the segment."""
        slot = bisect_right(self.times, timestamp - 1) - 1
        return self.time_offsets[slot] if slot >= 0 else None

    def encode(self, base_offset: int) -> tuple[bytes, bytes]:
        """Contents of `.index` and `.timeindex` of a finished segment."""
        self._add_time_entry()
        offsets = b"".join(
            _OFFSET_ENTRY.pack(o - base_offset, p) for o, p in zip(self.offsets, self.positions, strict=True)
        )
        times = b"".join(
            _TIME_ENTRY.pack(t, o - base_offset) for t, o in zip(self.times, self.time_offsets, strict=True)
        )
        return offsets, times

    @classmethod
    def decode(
        cls, interval_bytes: int, base_offset: int, segment_bytes: int, offsets: bytes, times: bytes
    ) -> SegmentIndex | None:
        """None if the files cannot belong to a segment of that size; the segment is walked then.

        Kafka preallocates index files and leaves zeros behind the last entry after a crash; reading stops there.
        """
        index = cls(interval_bytes)
        if len(offsets) % _OFFSET_ENTRY.size or len(times) % _TIME_ENTRY.size:
            return None
        for relative, position in _OFFSET_ENTRY.iter_unpack(offsets):
            if position == 0:
                break
            if position >= segment_bytes or (index.positions and position <= index.positions[-1]):
                return None
            index.offsets.append(base_offset + relative)
            index.positions.append(position)
        for time, relative in _TIME_ENTRY.iter_unpack(times):
            if time <= 0 or (index.times and time <= index.times[-1]):
                break
            index.times.append(time)
            index.time_offsets.append(base_offset + relative)
        if index.times:
            index.max_timestamp, index.max_timestamp_offset = index.times[-1], index.time_offsets[-1]
        return index
