"""Virtual time: the clock, the scheduler and the queue of events of a simulation."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple


class Time:
    """Clock, scheduler and event queue."""

    def __init__(self) -> None:
        self.elapsed_ms = 0
        self._heap: list[tuple[int, int, Callable[[], Any]]] = []
        self._order = itertools.count()
        self._cancelled: set[int] = set()

    def now_ms(self) -> int:
        return 1_700_000_000_000 + self.elapsed_ms

    def monotonic_ms(self) -> int:
        return self.elapsed_ms

    def after(self, ms: int, action: Callable[[], Any]) -> int:
        ticket = next(self._order)
        heapq.heappush(self._heap, (self.elapsed_ms + ms, ticket, action))
        return ticket

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any:
        ticket = self.after(round(delay * 1000), lambda: callback(*args))
        return Handle(lambda: self._cancelled.add(ticket))

    def run_until(self, end_ms: int) -> None:
        while self._heap and self._heap[0][0] <= end_ms:
            at_ms, ticket, action = heapq.heappop(self._heap)
            if ticket in self._cancelled:
                self._cancelled.discard(ticket)
                continue
            self.elapsed_ms = at_ms
            action()
        self.elapsed_ms = end_ms


class Handle(NamedTuple):
    cancel: Callable[[], Any]
