"""One segment in memory: a row of batches and, in step with it, flat arrays in which offsets, times and sizes are bisected."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from mainstem.api.files import Buffer
from mainstem.api.storage import BatchSpan, SegmentInfo


class MemorySegment:
    """Only ever grows; what cuts it short makes a new one, so that a thread in the middle of reading keeps what it began with.

    Costs 32 bytes and a `bytes` object per batch. `_times` holds the largest max timestamp up to and including each batch, `_ends`
    the bytes of the segment up to and including it.
    """

    __slots__ = ("_base_offsets", "_data", "_ends", "_last_offsets", "_times", "base_offset")

    def __init__(self, base_offset: int) -> None:
        self.base_offset = base_offset
        self._data: list[bytes] = []
        self._base_offsets = array("q")
        self._last_offsets = array("q")
        self._times = array("q")
        self._ends = array("q")

    @property
    def size(self) -> int:
        """Bytes."""
        return self._ends[-1] if self._ends else 0

    @property
    def next_offset(self) -> int:
        return self._last_offsets[-1] + 1 if self._last_offsets else self.base_offset

    def info(self) -> SegmentInfo:
        if not self._times:
            return SegmentInfo(self.base_offset, 0, -1, -1)
        return SegmentInfo(self.base_offset, self.size, self._times[-1], self._times[0])

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> int:
        """Returns the bytes added. Each batch becomes a copy of its own, so that it can go alone."""
        whole = bytes(data[0]) if len(data) == 1 else b"".join(data)
        end = self.size
        newest = self._times[-1] if self._times else -1
        position = 0
        for size, base_offset, last_offset, max_timestamp in spans:
            self._data.append(whole if size == len(whole) else whole[position : position + size])
            position += size
            newest = max(newest, max_timestamp)
            self._base_offsets.append(base_offset)
            self._times.append(newest)
            self._ends.append(end + position)
            # Readers in threads look for offsets first: what they find here is complete in the other columns.
            self._last_offsets.append(last_offset)
        assert position == len(whole), "the spans describe all of the data"
        return position

    def read(self, offset: int, end_offset: int, max_bytes: int) -> list[bytes]:
        """Whole batches from the one that contains `offset`, or the next one; about `max_bytes`, but at least one."""
        first = bisect_left(self._last_offsets, offset)
        stop = bisect_left(self._last_offsets, end_offset)
        if first >= stop:
            return []
        start = self._ends[first - 1] if first else 0
        fits = bisect_right(self._ends, start + max_bytes)
        return self._data[first : min(stop, max(fits, first + 1))]

    def offset_for_time(self, timestamp: int) -> int | None:
        slot = bisect_left(self._times, timestamp)
        return self._base_offsets[slot] if slot < len(self._times) else None

    def batches(self) -> Sequence[bytes]:
        return self._data

    def before(self, offset: int) -> MemorySegment:
        """Its batches whose last offset is below `offset`, as a new segment."""
        count = bisect_left(self._last_offsets, offset)
        kept = MemorySegment(self.base_offset)
        kept._data = self._data[:count]
        kept._base_offsets = self._base_offsets[:count]
        kept._last_offsets = self._last_offsets[:count]
        kept._times = self._times[:count]
        kept._ends = self._ends[:count]
        return kept

    def base_after(self, offset: int) -> int | None:
        """Base offset of the first batch whose last offset is >= `offset`."""
        slot = bisect_left(self._last_offsets, offset)
        return self._base_offsets[slot] if slot < len(self._last_offsets) else None
