"""Large read buffers that are used again: a new one is filled with zeros first, which takes a third of the time of its read.

A buffer is free again when nobody refers to it any more: not the reply that holds it, not the transport that still sends it.
CPython counts references exactly, so that moment needs no telling; elsewhere every read gets a new buffer.
"""

from __future__ import annotations

import platform
import sys

SIZE_MIN = 32 << 10
SIZE_MAX = 2 << 20
KEPT_PER_SIZE = 4

_counts_references = platform.python_implementation() == "CPython"
_FREE = 2
"""References to a buffer that is only in the list: the list's, and that of the call that counts."""


class ReadBuffers:
    """Of one thread. Keeps at most four buffers of each power of two up to 2 MiB, 16 MiB in all."""

    def __init__(self) -> None:
        self._kept: dict[int, list[bytearray]] = {}

    def take(self, size: int) -> bytearray | memoryview:
        """`size` bytes with anything in them."""
        if not SIZE_MIN <= size <= SIZE_MAX or not _counts_references:
            return bytearray(size)
        capacity = 1 << (size - 1).bit_length()
        kept = self._kept.get(capacity)
        if kept is None:
            kept = self._kept[capacity] = []
        for slot in range(len(kept)):
            if sys.getrefcount(kept[slot]) == _FREE:
                return memoryview(kept[slot])[:size]
        if len(kept) == KEPT_PER_SIZE:
            return bytearray(size)
        kept.append(bytearray(capacity))
        return memoryview(kept[-1])[:size]
