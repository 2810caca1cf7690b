"""A partition on virtual time that commits late and may lose its tail in a crash."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from virtual_time import Time

from mainstem.model.batch import patch_offset, read_header
from mainstem.model.errors import ErrorCode


class Outcome(NamedTuple):
    error: ErrorCode
    base_offset: int = -1
    last_offset: int = -1


class VirtualLog:
    """Batches, and who waits for them. Records are committed at most `commit_ms_max` after they were appended."""

    commit_ms_max: int

    def __init__(self, time: Time, chance: random.Random) -> None:
        self.batches: list[bytes] = []
        self.log_end_offset = 0
        self.high_watermark = 0
        self.is_refusing = False
        self._time = time
        self._chance = chance
        self._waiters: list[tuple[int, Callable[[ErrorCode], None]]] = []
        self._life = 0

    def add(self, data: bytearray) -> int:
        """Append what is admitted, at the end. Returns its base offset."""
        base = self.log_end_offset
        patch_offset(data, 0, base, 0)
        self.batches.append(bytes(data))
        self.log_end_offset = end = read_header(data).next_offset
        life = self._life
        self._time.after(self._chance.randint(0, self.commit_ms_max), lambda: self._commit(end, life))
        return base

    def _commit(self, end: int, life: int) -> None:
        if life != self._life or end <= self.high_watermark:
            return
        self.high_watermark = end
        self.advanced()
        ready = [w for w in self._waiters if w[0] < end]
        self._waiters = [w for w in self._waiters if w[0] >= end]
        for _, callback in ready:
            callback(ErrorCode.NONE)

    def advanced(self) -> None:
        """The high watermark has moved, and nobody who waits for it knows yet."""

    def when_committed(self, offset: int, callback: Callable[[ErrorCode], None]) -> None:
        if offset < self.high_watermark:
            callback(ErrorCode.NONE)
        else:
            self._waiters.append((offset, callback))

    def replay(self, from_offset: int = 0) -> Any:
        raise NotImplementedError("the simulation reads the batches itself")

    def fail_over(self) -> None:
        """The next leader has everything committed, and by chance some of what was not."""
        self._life += 1
        self._waiters.clear()
        while self.batches and read_header(self.batches[-1]).next_offset > self.high_watermark:
            if self._chance.random() < 0.5:
                break
            self.batches.pop()
        self.log_end_offset = read_header(self.batches[-1]).next_offset if self.batches else 0
        self.high_watermark = self.log_end_offset
