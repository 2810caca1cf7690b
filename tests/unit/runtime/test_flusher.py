"""Group commit: which rounds run, and what each covers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainstem.model.errors import StorageError
from mainstem.runtime.flusher import AppendedMark, Flusher


class Log:
    """A partition whose sync waits until the test opens the gate."""

    def __init__(self) -> None:
        self.end = 0
        self.gate = threading.Event()
        self.gate.set()
        self.syncing = threading.Event()
        self.error: StorageError | None = None
        self.covered: list[int] = []

    def appended_mark(self) -> AppendedMark:
        return AppendedMark(self.end, self.end)

    def flush_log(self) -> None:
        self.syncing.set()
        self.gate.wait(20)
        if self.error is not None:
            raise self.error

    def flushed(self, mark: AppendedMark) -> None:
        self.covered.append(mark.end_offset)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


async def test_one_round_carries_everything_marked_in_one_turn(executor: ThreadPoolExecutor) -> None:
    flusher, one, two = Flusher(executor, lambda error: None), Log(), Log()
    one.end = two.end = 3
    for _ in range(5):
        flusher.mark_dirty(one)
        flusher.mark_dirty(two)
    await flusher.drain()
    assert (flusher.rounds, one.covered, two.covered) == (1, [3], [3])


async def test_what_comes_during_a_round_waits_for_the_next(executor: ThreadPoolExecutor) -> None:
    flusher, log = Flusher(executor, lambda error: None), Log()
    log.gate.clear()
    log.end = 1
    flusher.mark_dirty(log)
    await asyncio.get_running_loop().run_in_executor(executor, log.syncing.wait, 20)
    log.end = 2
    flusher.mark_dirty(log)
    log.gate.set()
    await flusher.drain()
    assert (flusher.rounds, log.covered) == (2, [1, 2])


async def test_bytes_nobody_waits_for_are_flushed_by_drain_and_once(executor: ThreadPoolExecutor) -> None:
    flusher, log = Flusher(executor, lambda error: None), Log()
    log.end = 1
    flusher.mark_within(log, 60_000)
    flusher.mark_within(log, 60_000)
    await flusher.drain()
    assert (flusher.rounds, log.covered) == (1, [1])


async def test_failed_sync_is_told_once_and_never_tried_again(executor: ThreadPoolExecutor) -> None:
    told: list[StorageError] = []
    flusher, log = Flusher(executor, told.append), Log()
    log.error = StorageError("/disk", "input/output error")
    flusher.mark_dirty(log)
    await flusher.drain()
    flusher.mark_dirty(log)
    await asyncio.sleep(0)
    await flusher.drain()
    assert (told, log.covered, flusher.failure) == ([log.error], [], log.error)
