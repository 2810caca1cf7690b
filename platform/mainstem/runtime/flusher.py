"""Group commit: syncs run off the loop, one at a time per partition, and each covers everything appended before it began.

A sync starts as soon as somebody waits for unflushed bytes (an acks=all producer, a reader at the end of the log) and none of
that partition is running; bytes that nobody waits for gather a while. What is appended meanwhile waits for the partition's next
sync, so under load every sync carries many appends. Partitions are synced side by side, because a file system commits what comes
at the same time together; each thread takes its share of those that are dirty.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from mainstem.model.errors import StorageError

THREADS_MAX = 4


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


class Share(NamedTuple):
    """What one thread syncs, one after the other, and what that will cover."""

    partitions: Sequence[Flushable]
    marks: Sequence[AppendedMark]


class Flusher:
    """One per log directory, owned by the loop. After a failed sync the directory is offline for good: a second try could
    report success for pages that the kernel has already dropped.

    The threads are its own: a sync must not wait behind cold reads and cleaning. They start with the first flush.
    """

    def __init__(
        self,
        on_failure: Callable[[StorageError], None],
        on_refusal: Callable[[StorageError], None] = lambda error: None,
        *,
        threads_max: int = THREADS_MAX,
    ) -> None:
        """`on_refusal`: an append failed and the directory stays online."""
        self._on_failure = on_failure
        self._on_refusal = on_refusal
        self._threads_max = threads_max
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[Share | None] = SimpleQueue()
        self._busy_threads = 0
        self._dirty: dict[Flushable, None] = {}
        self._running: set[Flushable] = set()
        self.later: dict[Flushable, int] = {}
        self._armed: set[int] = set()
        self._is_scheduled = False
        self.failure: StorageError | None = None
        self.rounds = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def mark_dirty(self, partition: Flushable) -> None:
        """Somebody waits for what it has appended."""
        self._dirty[partition] = None
        if self.later:
            self.later.pop(partition, None)
        if not self._is_scheduled:
            # Not at once: every frame that has already arrived shall share the sync.
            self._is_scheduled = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._start)

    def mark_within(self, partition: Flushable, delay_ms: int) -> None:
        """Nobody waits for it: the partition is flushed when somebody does, or `delay_ms` from now."""
        self.later[partition] = delay_ms
        if delay_ms not in self._armed:
            # One timer per delay, not per append: most of these marks are overtaken by somebody who waits.
            self._armed.add(delay_ms)
            self._idle.clear()
            asyncio.get_running_loop().call_later(delay_ms / 1000, self._due, delay_ms)

    def _due(self, delay_ms: int) -> None:
        self._armed.discard(delay_ms)
        for partition in [p for p, delay in self.later.items() if delay == delay_ms]:
            self.mark_dirty(partition)
        self._settle()

    def _settle(self) -> None:
        if not (self._dirty or self._running or self.later):
            self._idle.set()

    def _start(self) -> None:
        """Hand dirty partitions that are not being synced to the threads that are free."""
        self._is_scheduled = False
        free = self._threads_max - self._busy_threads
        if self.failure is not None or not free:
            return
        ready = [p for p in self._dirty if p not in self._running] if self._running else list(self._dirty)
        if not ready:
            return
        step = -(-len(ready) // free)
        for first in range(0, len(ready), step):
            share = ready[first : first + step]
            for partition in share:
                del self._dirty[partition]
            self._running.update(share)
            self._busy_threads += 1
            if len(self._threads) < self._busy_threads:
                self._start_thread()
            self._jobs.put(Share(share, [partition.appended_mark() for partition in share]))

    def _start_thread(self) -> None:
        thread = threading.Thread(
            target=_sync_shares,
            args=(self._jobs, asyncio.get_running_loop(), self._finish),
            name=f"mainstem-flusher-{len(self._threads)}",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()

    def _finish(self, share: Share, failure: StorageError | None) -> None:
        self._busy_threads -= 1
        self._running.difference_update(share.partitions)
        self.rounds += 1
        if failure is not None:
            self.fail(failure)
            return
        if self.failure is not None:
            return
        for partition, mark in zip(share.partitions, share.marks, strict=True):
            partition.flushed(mark)
        if self._dirty:
            self._start()
        else:
            self._settle()

    def refused(self, error: StorageError) -> None:
        """An append failed: for good, or until there is room again."""
        if error.is_lasting:
            self.fail(error)
        else:
            self._on_refusal(error)

    def fail(self, failure: StorageError) -> None:
        """The directory is offline from now on; a write or a read may have found out as well."""
        if self.failure is None:
            self.failure = failure
            self._on_failure(failure)
        self._idle.set()

    async def drain(self) -> None:
        """Wait until nothing is unflushed, or the directory is offline; for a clean shutdown."""
        for partition in tuple(self.later):
            self.mark_dirty(partition)
        if self.failure is None:
            await self._idle.wait()

    def close(self) -> None:
        """End the threads; what they are doing is finished first. Blocking."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


def _sync_shares(
    jobs: SimpleQueue[Share | None],
    loop: asyncio.AbstractEventLoop,
    finish: Callable[[Share, StorageError | None], None],
) -> None:
    """A thread's life: until it is told None, or the loop is gone."""
    while (share := jobs.get()) is not None:
        failure = None
        try:
            for partition in share.partitions:
                partition.flush_log()
        except StorageError as error:
            failure = error
        try:
            loop.call_soon_threadsafe(finish, share, failure)
        except RuntimeError:
            return  # the loop was closed without `close`: nobody waits any more
