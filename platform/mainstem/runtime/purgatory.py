"""Requests that wait: a Fetch until there are enough bytes or its time is up. Each has one timer and is completed once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from mainstem.runtime.partition import Partition


class DelayedFetch:
    """Waits on all its partitions. `complete` is called exactly once, on the loop.

    Bytes are counted as they become readable (below the high watermark), without reading them.
    """

    __slots__ = ("_complete", "_missing_bytes", "_partitions", "_start_bytes", "_timer")

    def __init__(
        self, partitions: Sequence[Partition], missing_bytes: int, wait_ms: int, complete: Callable[[], None]
    ) -> None:
        self._partitions = partitions
        self._missing_bytes = missing_bytes
        self._complete: Callable[[], None] | None = complete
        self._start_bytes = sum(p.readable_bytes for p in partitions)
        for partition in partitions:
            partition.fetch_waiters.add(self)
        self._timer = asyncio.get_running_loop().call_later(wait_ms / 1000, self.finish)

    def wake(self, *, at_once: bool = False) -> None:
        """A partition's high watermark moved."""
        if at_once or sum(p.readable_bytes for p in self._partitions) - self._start_bytes >= self._missing_bytes:
            self.finish()

    def finish(self) -> None:
        complete, self._complete = self._complete, None
        if complete is None:
            return
        self.cancel()
        complete()

    def cancel(self) -> None:
        """Stop waiting without an answer: the connection is gone."""
        self._complete = None
        self._timer.cancel()
        for partition in self._partitions:
            partition.fetch_waiters.discard(self)
