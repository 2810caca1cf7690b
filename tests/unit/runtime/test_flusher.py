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
        self.is_covered = asyncio.Event()

    def appended_mark(self) -> AppendedMark:
        return AppendedMark(self.end, self.end)

    def flush_log(self) -> None:
        self.syncing.set()
        self.gate.wait(20)
        if self.error is not None:
            raise self.error

    def flushed(self, mark: AppendedMark) -> None:
        self.covered.append(mark.end_offset)
        self.is_covered.set()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


async def test_one_round_carries_everything_marked_in_one_turn(executor: ThreadPoolExecutor) -> None:
    flusher, one, two = Flusher(lambda error: None), Log(), Log()
    one.end = two.end = 3
    for _ in range(5):
        flusher.mark_dirty(one)
        flusher.mark_dirty(two)
    await flusher.drain()
    assert (one.covered, two.covered) == ([3], [3])


async def test_what_comes_during_a_round_waits_for_the_next(executor: ThreadPoolExecutor) -> None:
    flusher, log = Flusher(lambda error: None), Log()
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
    flusher, log = Flusher(lambda error: None), Log()
    log.end = 1
    flusher.mark_within(log, 60_000)
    flusher.mark_within(log, 60_000)
    await flusher.drain()
    assert (flusher.rounds, log.covered) == (1, [1])


async def test_failed_sync_is_told_once_and_never_tried_again(executor: ThreadPoolExecutor) -> None:
    told: list[StorageError] = []
    flusher, log = Flusher(told.append), Log()
    log.error = StorageError("/disk", "input/output error")
    flusher.mark_dirty(log)
    await flusher.drain()
    flusher.mark_dirty(log)
    await asyncio.sleep(0)
    await flusher.drain()
    assert (told, log.covered, flusher.failure) == ([log.error], [], log.error)


async def test_a_partition_is_synced_once_at_a_time_and_others_side_by_side(executor: ThreadPoolExecutor) -> None:
    """One partition's slow disk keeps nobody else waiting, and two syncs of one log never overtake each other."""
    flusher, slow, quick = Flusher(lambda error: None), Log(), Log()
    slow.gate.clear()
    slow.end = quick.end = 1
    flusher.mark_dirty(slow)
    await asyncio.get_running_loop().run_in_executor(executor, slow.syncing.wait, 20)
    slow.syncing.clear()
    slow.end = 2
    flusher.mark_dirty(slow)
    flusher.mark_dirty(quick)
    await quick.is_covered.wait()
    assert (quick.covered, slow.covered, slow.syncing.is_set()) == ([1], [], False)
    slow.gate.set()
    await flusher.drain()
    assert slow.covered == [1, 2]
    flusher.close()


async def test_many_dirty_partitions_are_shared_by_few_threads(executor: ThreadPoolExecutor) -> None:
    flusher, logs = Flusher(lambda error: None, threads_max=3), [Log() for _ in range(100)]
    for log in logs:
        log.end = 7
        flusher.mark_dirty(log)
    await flusher.drain()
    assert [log.covered for log in logs] == [[7]] * 100
    assert flusher.rounds == 3
    flusher.close()
