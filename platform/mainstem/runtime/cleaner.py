"""Compacts the logs that need it most, one at a time, in a thread of its own.

One thread, whatever `log.cleaner.threads` says: decoding records holds the interpreter's lock, so a second one would only take
time from the loop. For the same reason the thread sleeps a little after every piece of work (`Pacing`).
Source: Kafka's `LogCleaner` and `LogCleanerManager`, 4.1.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from mainstem.api.context import Clock, Log
from mainstem.api.storage import LogStore, SidecarKind
from mainstem.core.log.aborted import encode_index
from mainstem.core.log.compaction import Cleanable, find_cleanable
from mainstem.core.log.offset_map import OffsetMap, entries_within
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.cluster import Change, TopicDeleted
from mainstem.model.compression import CorruptRecords
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import StorageError
from mainstem.model.ids import TopicPartition
from mainstem.runtime.cleaning_pass import CleaningPass, CleaningStopped, LogView, Rewritten
from mainstem.runtime.partition import Partition
from mainstem.runtime.partition_opening import CLEANER_CHECKPOINT
from mainstem.runtime.partitions import Partitions

WORK_UNITS_MAX = 300
"""Records and kilobytes between two pauses: about half a millisecond of work."""
PAUSE_S = 0.001
SWITCH_INTERVAL_S = 0.0005
"""How long the loop waits for the cleaner to let go of the interpreter in the middle of its work; Python's own is 5 ms."""


class Pacing:
    """`pause` of a pass: lets the loop run, keeps to `log.cleaner.io.max.bytes.per.second`, and ends the pass when told to."""

    def __init__(self, clock: Clock, stopping: threading.Event, bytes_per_second: float) -> None:
        self._clock = clock
        self._stopping = stopping
        self._bytes_per_second = bytes_per_second
        self._started_ms = clock.monotonic_ms()
        self._bytes = 0
        self._units = 0

    def __call__(self, size: int, records: int) -> None:
        """Raises: CleaningStopped."""
        self._bytes += size
        self._units += records + (size >> 10)
        if self._units < WORK_UNITS_MAX:
            return
        self._units = 0
        due_ms = self._bytes / self._bytes_per_second * 1000
        late_s = (due_ms - (self._clock.monotonic_ms() - self._started_ms)) / 1000
        if self._stopping.wait(max(PAUSE_S, late_s)):
            raise CleaningStopped


class Candidate(NamedTuple):
    partition: Partition
    cleanable: Cleanable


class CleanerCounters:
    """Plain numbers for metrics; of the last pass unless they say otherwise."""

    def __init__(self) -> None:
        self.passes = 0
        self.max_dirty_ratio = 0.0
        self.max_delay_ms = 0
        self.last_run_ms = -1
        self.pass_ms_max = 0
        self.buffer_utilization = 0.0
        self.bytes_read = 0
        self.bytes_written = 0


class Cleaner:
    """Owned by the loop; `start` it, `close` it. Follows the metadata image to forget deleted topics."""

    def __init__(self, partitions: Partitions, config: Callable[[], BrokerConfig], clock: Clock, log: Log) -> None:
        self._partitions = partitions
        self._config = config
        self._clock = clock
        self._log = log
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="mainstem-cleaner")
        self._stopping = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._clean_to = {
            directory.store: self._read_checkpoint(directory.store) for directory in partitions.directories
        }
        self.uncleanable: set[TopicPartition] = set()
        self.counters = CleanerCounters()

    def _read_checkpoint(self, store: LogStore) -> dict[TopicPartition, int]:
        try:
            return dict(store.read_checkpoint(CLEANER_CHECKPOINT))
        except StorageError as error:
            self._log.warning("storage.checkpoint_damaged", file=error.place, reason=error.reason)
            return {}

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="cleaner")

    async def close(self) -> None:
        """A pass that is under way ends without a trace."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(None, self._executor.shutdown)

    def follow(self, changes: Sequence[Change], image: MetadataImage) -> None:
        """A topic of the same name begins anew."""
        for change in changes:
            if isinstance(change, TopicDeleted):
                for offsets in self._clean_to.values():
                    for partition in [p for p in offsets if p.topic == change.name]:
                        del offsets[partition]
                self.uncleanable = {p for p in self.uncleanable if p.topic != change.name}

    async def _run(self) -> None:
        while True:
            try:
                found = await self.clean_filthiest()
            except Exception as error:
                self._log.error("cleaner.failed", exc_info=error)
                found = False
            if not found:
                await asyncio.sleep(self._config().log_cleaner_backoff_ms / 1000)

    # --------------------------------------------------------------------------------------------------------- choosing

    def candidates(self) -> list[Candidate]:
        """Every compacted log that is open, and what could be compacted of it."""
        now_ms = self._clock.now_ms()
        found = []
        for partition in self._partitions:
            if not (partition.config.is_compacted and partition.is_open) or partition.is_offline:
                continue
            if partition.topic_partition in self.uncleanable:
                continue
            cleanable = find_cleanable(
                partition.log.segments(),
                self._clean_to[partition.store].get(partition.topic_partition),
                partition.log_start_offset,
                partition.last_stable_offset,
                partition.config,
                now_ms,
            )
            found.append(Candidate(partition, cleanable))
        return found

    async def clean_filthiest(self) -> bool:
        """Compact the log with the largest dirty ratio among those that are due; False if none is."""
        candidates = self.candidates()
        self.counters.last_run_ms = self._clock.now_ms()
        self.counters.max_dirty_ratio = max((c.cleanable.dirty_ratio for c in candidates), default=0.0)
        self.counters.max_delay_ms = max((c.cleanable.delay_ms for c in candidates), default=0)
        due = [c for c in candidates if c.cleanable.is_due(c.partition.config)]
        if not due:
            return False
        filthiest = max(due, key=lambda c: c.cleanable.dirty_ratio)
        partition = filthiest.partition
        topic, index = partition.topic_partition
        try:
            await self._clean(partition, filthiest.cleanable)
        except CleaningStopped:
            return False
        except CorruptRecords as error:
            if not partition.is_closed:
                self.uncleanable.add(partition.topic_partition)
                self._log.error("cleaner.log_is_uncleanable", topic=topic, partition=index, reason=str(error))
        except StorageError as error:
            if not partition.is_closed:
                self._log.error("cleaner.storage_failed", topic=topic, partition=index, reason=error.reason)
                return False
        return True

    # --------------------------------------------------------------------------------------------------------- cleaning

    async def _clean(self, partition: Partition, cleanable: Cleanable) -> None:
        """Raises: CorruptRecords, StorageError, CleaningStopped."""
        config, loop = self._config(), asyncio.get_running_loop()
        started_ms = self._clock.monotonic_ms()
        state = partition.state
        view = LogView(
            partition.log.segments(),
            list(state.transactions.aborted),
            state.producers.last_batches(),
            partition.config,
            self._clock.now_ms(),
        )
        room = entries_within(config.log_cleaner_dedupe_buffer_size, config.log_cleaner_io_buffer_load_factor)
        offsets = OffsetMap(room)
        pacing = Pacing(self._clock, self._stopping, config.log_cleaner_io_max_bytes_per_second)
        chunk_bytes = config.log_cleaner_io_buffer_size
        run = CleaningPass(partition.log, view, cleanable, offsets, chunk_bytes, pacing)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(min(interval, SWITCH_INTERVAL_S))
        try:
            await loop.run_in_executor(self._executor, run.build_map)
            for group in run.groups():
                rewritten = await loop.run_in_executor(self._executor, run.rewrite, group)
                if rewritten is not None and not self._swap(partition, rewritten):
                    # Retention took segments away meanwhile; what is left is found by the next pass.
                    return
        finally:
            sys.setswitchinterval(interval)
            await loop.run_in_executor(self._executor, self._release, offsets)
        self._note(partition, run.end_offset)
        # The names on the disk follow the replacement now, not only when what it replaced is purged.
        await loop.run_in_executor(self._executor, partition.flush_log)
        store, done = partition.store, dict(self._clean_to[partition.store])
        await loop.run_in_executor(self._executor, store.write_checkpoint, CLEANER_CHECKPOINT, done)
        for directory in self._partitions.directories:
            if directory.store is store:
                directory.purge_within(partition.config.file_delete_delay_ms)
        self._count(run, offsets, self._clock.monotonic_ms() - started_ms)
        topic, index = partition.topic_partition
        self._log.debug(
            "cleaner.compacted",
            topic=topic,
            partition=index,
            to_offset=run.end_offset,
            bytes_read=run.bytes_read,
            bytes_written=run.bytes_written,
            records_without_key=run.records_without_key,
        )

    def _release(self, offsets: OffsetMap) -> None:
        """In the cleaner's thread: freeing a hundred thousand keys at once would stop the loop."""
        for _ in offsets.release():
            self._stopping.wait(PAUSE_S)

    def _swap(self, partition: Partition, rewritten: Rewritten) -> bool:
        """On the loop. False if the log, or one of the segments, is gone."""
        if partition.is_closed:
            rewritten.rewrite.abandon()
            raise CleaningStopped
        group, log = rewritten.group, partition.log
        aborted = partition.state.transactions.aborted
        before = aborted.between(group.base_offset, group.end_offset)
        if before != list(rewritten.aborted):
            # The index goes first: an entry that outlived its marker would hide its producer's later records for good.
            log.put_sidecar(SidecarKind.TRANSACTION_INDEX, group.base_offset, encode_index(rewritten.aborted))
        if not log.replace(rewritten.rewrite):
            return False
        aborted.replace_between(group.base_offset, group.end_offset, rewritten.aborted)
        if before:
            if rewritten.aborted:
                log.put_sidecar(SidecarKind.TRANSACTION_INDEX, group.base_offset, encode_index(rewritten.aborted))
            for segment in group.segments[1 if rewritten.aborted else 0 :]:
                log.delete_sidecar(SidecarKind.TRANSACTION_INDEX, segment.base_offset)
        return True

    def _note(self, partition: Partition, end_offset: int) -> None:
        if not partition.is_closed:
            self._clean_to[partition.store][partition.topic_partition] = end_offset

    def _count(self, run: CleaningPass, offsets: OffsetMap, elapsed_ms: int) -> None:
        counters = self.counters
        counters.passes += 1
        counters.pass_ms_max = max(counters.pass_ms_max, elapsed_ms)
        counters.buffer_utilization = offsets.utilization
        counters.bytes_read = run.bytes_read
        counters.bytes_written = run.bytes_written
