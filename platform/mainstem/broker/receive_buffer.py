"""Where a client's bytes arrive: one buffer per connection that grows with what comes and gets small again.

    0        start            end          len(data)
    ├ handled ┼ not handled yet ┼ room ─────┤

A frame is handled as a view into `data`, valid until its handler returns; what is left then may be moved to the front.
"""

from __future__ import annotations

from mainstem.broker.memory import Memory

BUFFER_BYTES_START = 16 * 1024
BUFFER_BYTES_BUSY = 256 * 1024
"""Up to here the buffer of a client that fills it grows, so that one read brings many requests."""
SMALL_READS_BEFORE_SHRINK = 64


class ReceiveBuffer:
    """Owned by its connection. What it holds above its first size is counted in `memory`."""

    __slots__ = ("_bytes_max", "_memory", "_needed", "_small_reads", "data", "end", "start", "view")

    def __init__(self, memory: Memory, frame_bytes_max: int) -> None:
        self.data = bytearray(BUFFER_BYTES_START)
        self.view = memoryview(self.data)
        self.start = 0
        self.end = 0
        self._needed = 0
        self._small_reads = 0
        self._memory = memory
        self._bytes_max = frame_bytes_max + 4 + BUFFER_BYTES_START

    def room(self) -> memoryview:
        """Where the next bytes go; never empty."""
        if self.is_full:
            self.grow()
        return self.view[self.end :]

    @property
    def is_full(self) -> bool:
        """The next bytes need a larger buffer."""
        return self.end == len(self.data)

    @property
    def is_idle(self) -> bool:
        """Empty, and larger than it need be."""
        return self.start == self.end and len(self.data) > BUFFER_BYTES_START

    @property
    def is_mid_frame(self) -> bool:
        return self.end > self.start

    def tidy(self, needed: int) -> None:
        """After handling: `needed` is the size of the frame that has begun to arrive, 0 if that is not known yet."""
        self._needed = needed
        end, size = self.end, len(self.data)
        left = end - self.start
        if left == 0:
            self.start = self.end = 0
            if end == size and size < BUFFER_BYTES_BUSY and self._memory.may_grow():
                self._replace(2 * size)
            elif size > BUFFER_BYTES_START:
                self._small_reads = self._small_reads + 1 if end < size // 8 else 0
                if self._small_reads >= SMALL_READS_BEFORE_SHRINK or self._memory.is_scarce:
                    self.shrink()
        elif self.start and (needed > size - self.start or end == size):
            if end == size < BUFFER_BYTES_BUSY and self._memory.may_grow():
                self._replace(2 * size)
                return
            self.view[:left] = self.view[self.start : end]
            self.start, self.end = 0, left

    def shrink(self) -> None:
        """Give memory back; only while nothing is in it."""
        self._small_reads = 0
        self._replace(BUFFER_BYTES_START)

    def grow(self) -> None:
        """By doubling, so that bytes are allocated because bytes came, up to the frame that is on its way."""
        left = self.end - self.start
        size = min(max(2 * len(self.data), BUFFER_BYTES_START), self._bytes_max)
        if self._needed > left:
            size = min(size, max(self._needed, BUFFER_BYTES_START))
        self._replace(max(size, left + 4))

    def _replace(self, size: int) -> None:
        """A new buffer, never a resized one: views of the old may still exist."""
        left = self.view[self.start : self.end]
        before = len(self.data)
        data = bytearray(size)
        data[: len(left)] = left
        self.data, self.view = data, memoryview(data)
        self.start, self.end = 0, len(left)
        if size > before:
            self._memory.request_bytes += size - before
        else:
            self._memory.give_back(before - size)

    def release(self) -> None:
        """The connection is gone."""
        given, self.data = len(self.data) - BUFFER_BYTES_START, bytearray()
        self.view = memoryview(self.data)
        self.start = self.end = 0
        if given:
            self._memory.give_back(given)
