"""Requests that wait: a Fetch until there are enough bytes or its time is up. Each has one timer and is completed once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from mainstem.runtime.partition import Partition


class DelayedFetch:
    """Waits on all its partitions. `complete` is called exactly once, on the loop.

    Bytes are counted as they become readable (below the high watermark), without reading them. A reader of committed records only
    (`is_stable`) has nothing new before a last stable offset moves; what open transactions held back from it at the start is not
    counted, and any of it will do.
    """

    __slots__ = ("_complete", "_is_held_back", "_missing_bytes", "_partitions", "_stable", "_start_bytes", "_timer")

    def __init__(
        self,
        partitions: Sequence[Partition],
        missing_bytes: int,
        wait_ms: int,
        complete: Callable[[], None],
        *,
        is_stable: bool = False,
    ) -> None:
        self._partitions = partitions
        self._missing_bytes = missing_bytes
        self._complete: Callable[[], None] | None = complete
        self._start_bytes = sum(p.readable_bytes for p in partitions)
        self._stable: list[int] | None = [p.last_stable_offset for p in partitions] if is_stable else None
        self._is_held_back = is_stable and any(p.last_stable_offset < p.high_watermark for p in partitions)
        for partition in partitions:
            partition.fetch_waiters.add(self)
        self._timer = asyncio.get_running_loop().call_later(wait_ms / 1000, self.finish)

    def wake(self, *, at_once: bool = False) -> None:
        """A partition's high watermark moved."""
        is_enough = (
            at_once or sum(p.readable_bytes for p in self._partitions) - self._start_bytes >= self._missing_bytes
        )
        if self._stable is not None and not at_once:
            moved = any(p.last_stable_offset > start for p, start in zip(self._partitions, self._stable, strict=True))
            is_enough = moved and (is_enough or self._is_held_back)
        if is_enough:
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
