"""What storage and core tell each other about stored batches: sizes, offsets and times, never contents."""

from __future__ import annotations

from typing import NamedTuple


class BatchSpan(NamedTuple):
    """What the store must know of one batch: its size, first and last offset, and largest timestamp (ms)."""

    size: int
    base_offset: int
    last_offset: int
    max_timestamp: int


class SegmentInfo(NamedTuple):
    """`max_timestamp` over all batches and of the first one, in ms; -1 while there is none."""

    base_offset: int
    size: int
    max_timestamp: int
    first_timestamp: int
