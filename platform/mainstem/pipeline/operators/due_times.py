"""When something of a key is due, in order of time. Built anew from the store whenever a step opens."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple


class Due(NamedTuple):
    time_ms: int
    number: int
    key: Any


class DueTimes:
    """An entry may have become void meanwhile: whoever takes it looks what there is."""

    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._numbers = count()

    def add(self, time_ms: int, key: Any) -> None:
        heapq.heappush(self._heap, Due(time_ms, next(self._numbers), key))

    def take(self, until_ms: int) -> Iterator[Due]:
        """Everything up to and with this time, the earliest first; what is added meanwhile too."""
        while self._heap and self._heap[0].time_ms <= until_ms:
            yield heapq.heappop(self._heap)

    @property
    def next_ms(self) -> int | None:
        return self._heap[0].time_ms if self._heap else None

    def clear(self) -> None:
        self._heap.clear()
