"""Group commit: one round of syncs for every partition that has unflushed bytes, off the loop, one round at a time.

A round starts as soon as somebody waits for unflushed bytes (an acks=all producer, a reader at the end of the log) and none is
running; bytes that nobody waits for gather a few milliseconds. What is appended meanwhile waits for the next round, so under
load every sync carries many appends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple, Protocol

from mainstem.model.errors import StorageError


class AppendedMark(NamedTuple):
    """How far a partition was appended: its log end, and all bytes appended since it was opened."""

    end_offset: int
    bytes: int


class Flushable(Protocol):
    """What the flusher needs of a partition."""

    def appended_mark(self) -> AppendedMark:
        """On the loop: what a flush that starts now will cover."""

    def flush_log(self) -> None:
        """In a thread. Raises: StorageError."""

    def flushed(self, mark: AppendedMark) -> None:
        """On the loop: everything up to `mark` is durable."""


class Flusher:
    """One per log directory, owned by the loop. After a failed sync the directory is offline for good: a second try could
    report success for pages that the kernel has already dropped."""

    def __init__(self, executor: Executor, on_failure: Callable[[StorageError], None]) -> None:
        self._executor = executor
        self._on_failure = on_failure
        self._dirty: set[Flushable] = set()
        self._later: dict[Flushable, int] = {}
        self._armed: set[int] = set()
        self._is_running = False
        self._is_scheduled = False
        self.failure: StorageError | None = None
        self.rounds = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def mark_dirty(self, partition: Flushable) -> None:
        self._dirty.add(partition)
        self._later.pop(partition, None)
        self._idle.clear()
        if not self._is_running and not self._is_scheduled:
            # Not at once: every frame that has already arrived shall share the round.
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._start_round)

    def mark_within(self, partition: Flushable, delay_ms: int) -> None:
        """Nobody waits for it: the partition is flushed when somebody does, or `delay_ms` from now."""
        self._later[partition] = delay_ms
        if delay_ms not in self._armed:
            # One timer per delay, not per append: most of these marks are overtaken by somebody who waits.
            self._armed.add(delay_ms)
            self._idle.clear()
            asyncio.get_running_loop().call_later(delay_ms / 1000, self._due, delay_ms)

    def _due(self, delay_ms: int) -> None:
        self._armed.discard(delay_ms)
        for partition in [p for p, delay in self._later.items() if delay == delay_ms]:
            self.mark_dirty(partition)
        self._settle()

    def _settle(self) -> None:
        if not (self._dirty or self._is_running or self._later):
            self._idle.set()

    def _start_round(self) -> None:
        self._is_scheduled = False
        if self._is_running or not self._dirty or self.failure is not None:
            return
        self._is_running = True
        batch = [(partition, partition.appended_mark()) for partition in self._dirty]
        self._dirty.clear()
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, _flush_all, [partition for partition, _ in batch])
        future.add_done_callback(lambda done: self._finish_round(batch, done.result()))

    def _finish_round(self, batch: Sequence[tuple[Flushable, AppendedMark]], failure: StorageError | None) -> None:
        self._is_running = False
        self.rounds += 1
        if failure is not None:
            self.failure = failure
            self._idle.set()
            self._on_failure(failure)
            return
        for partition, mark in batch:
            partition.flushed(mark)
        if self._dirty:
            self._start_round()
        else:
            self._settle()

    async def drain(self) -> None:
        """Wait until nothing is unflushed, or the directory is offline; for a clean shutdown."""
        for partition in tuple(self._later):
            self.mark_dirty(partition)
        if self.failure is None:
            await self._idle.wait()


def _flush_all(partitions: Sequence[Flushable]) -> StorageError | None:
    """Runs in a thread."""
    try:
        for partition in partitions:
            partition.flush_log()
    except StorageError as error:
        return error
    return None
