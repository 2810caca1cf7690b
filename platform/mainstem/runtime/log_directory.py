"""One log directory of this broker: its store, its flusher, its checkpoints, and when what it put aside goes for good."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor

from mainstem.api.context import Log
from mainstem.api.storage import LogStore
from mainstem.model.errors import StorageError
from mainstem.model.ids import TopicId, TopicPartition
from mainstem.runtime.flusher import Flusher
from mainstem.runtime.partition import Partition

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"
HIGH_WATERMARKS = "replication-offset-checkpoint"
REFUSAL_SAID_EVERY_S = 30


class LogDirectory:
    """Owned by the loop; `write` and `store.purge` run in threads.

    A checkpoint keeps what it says of partitions that were not opened since. One that is damaged is as good as none: recovery
    reads more, and offsets begin where the oldest segment does.
    """

    def __init__(
        self, store: LogStore, executor: Executor, log: Log, on_failure: Callable[[LogStore, StorageError], None]
    ) -> None:
        self.store = store
        self._executor = executor
        self._log = log
        self._on_failure = on_failure
        self.flusher = Flusher(self._failed, self._refused)
        self._refusal_said_at = -math.inf
        self.checkpoints = {name: self.read_checkpoint(name) for name in (RECOVERY_POINTS, LOG_STARTS, HIGH_WATERMARKS)}
        self.stored: dict[TopicPartition, TopicId] = dict(store.existing())
        self.hosted = 0
        self._purge_timer: asyncio.TimerHandle | None = None
        self._purge_due = 0.0
        self._purge_latest = 0.0

    def read_checkpoint(self, name: str) -> dict[TopicPartition, int]:
        """Empty where it is damaged, which is logged."""
        try:
            return dict(self.store.read_checkpoint(name))
        except StorageError as error:
            self._log.warning("storage.checkpoint_damaged", file=error.place, reason=error.reason)
            return {}

    @property
    def is_offline(self) -> bool:
        return self.flusher.failure is not None

    def _failed(self, error: StorageError) -> None:
        self._log.error("storage.log_directory_offline", place=self.store.place, reason=error.reason)
        self._on_failure(self.store, error)

    def _refused(self, error: StorageError) -> None:
        """Said once in a while: with a full disk every request of every client ends here."""
        now = asyncio.get_running_loop().time()
        if now - self._refusal_said_at >= REFUSAL_SAID_EVERY_S:
            self._refusal_said_at = now
            self._log.error("storage.append_refused", place=error.place, reason=error.reason)

    # ------------------------------------------------------------------------------------------------------- checkpoints

    def note_offsets(self, partitions: Iterable[Partition]) -> Mapping[str, Mapping[TopicPartition, int]]:
        """On the loop: what `write` may write. Recovery points never run ahead of what was flushed."""
        points, starts, marks = (self.checkpoints[name] for name in (RECOVERY_POINTS, LOG_STARTS, HIGH_WATERMARKS))
        for partition in partitions:
            if partition.store is self.store and partition.is_open and not partition.is_closed:
                name = partition.topic_partition
                points[name] = partition.flushed_offset
                starts[name] = partition.log_start_offset
                marks[name] = partition.high_watermark
        return {name: dict(offsets) for name, offsets in self.checkpoints.items()}

    def write(self, offsets: Mapping[str, Mapping[TopicPartition, int]]) -> None:
        """Blocking. A full disk costs time at the next start and nothing else, so it is only said."""
        try:
            for name, values in offsets.items():
                self.store.write_checkpoint(name, values)
        except StorageError as error:
            self._log.warning("storage.checkpoint_not_written", place=error.place, reason=error.reason)

    def forget(self, partition: TopicPartition) -> None:
        self.hosted -= 1
        self.stored.pop(partition, None)
        for offsets in self.checkpoints.values():
            offsets.pop(partition, None)

    # ------------------------------------------------------------------------------------------------------------ purging

    def purge_within(self, delay_ms: int) -> None:
        """What the store has put aside goes `delay_ms` from now; up to as long again later if more is put aside meanwhile."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_ms / 1000
        if self._purge_timer is None:
            self._purge_due, self._purge_latest = due, due + delay_ms / 1000
            self._purge_timer = loop.call_at(due, self._purge_or_wait)
        else:
            self._purge_due = min(max(self._purge_due, due), self._purge_latest)

    def _purge_or_wait(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._purge_due:
            self._purge_timer = loop.call_at(self._purge_due, self._purge_or_wait)
            return
        self._purge_timer = None
        if not self.is_offline:
            loop.run_in_executor(self._executor, self._purge)

    def _purge(self) -> None:
        """In a thread."""
        try:
            self.store.purge()
        except StorageError as error:
            self._log.warning("storage.purge_failed", place=error.place, reason=error.reason)

    def close(self) -> None:
        """Nothing more is purged; the next start finds what is left."""
        if self._purge_timer is not None:
            self._purge_timer.cancel()
            self._purge_timer = None
