"""One compaction of one log: the blocking part, which runs in the cleaner's thread.

Reads go through `PartitionLog.read` and writes into a `SegmentRewrite`, so the log that clients use is not touched here.
Source: Kafka's `Cleaner.doClean`, 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mainstem.api.storage import BatchSpan, PartitionLog, SegmentRewrite
from mainstem.core.log.aborted import AbortedTransaction
from mainstem.core.log.batch_cleaner import BatchCleaner, add_batch
from mainstem.core.log.cleaned_transactions import CleanedTransactions
from mainstem.core.log.compaction import Cleanable, SegmentGroup, group_segments
from mainstem.core.log.offset_map import OffsetMap
from mainstem.core.log.producer_state import LastBatch
from mainstem.model.batch import BatchHeader, crc_matches, iterate, read_header
from mainstem.model.compression import CorruptRecords
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.segment import SegmentInfo

Pause = Callable[[int, int], None]
"""Called after every batch with the bytes and records it took; waits, and raises `CleaningStopped` when it is enough."""


class CleaningStopped(Exception):
    """The broker closes, or the log is gone."""


class LogView(NamedTuple):
    """What the loop knew about the log when the pass began."""

    segments: Sequence[SegmentInfo]
    aborted: Sequence[AbortedTransaction]
    producers: Mapping[int, LastBatch]
    config: TopicConfig
    now_ms: int


class Rewritten(NamedTuple):
    """A group that is ready to be swapped in; `aborted` are the index entries that are left of it."""

    group: SegmentGroup
    rewrite: SegmentRewrite
    aborted: Sequence[AbortedTransaction]


class CleaningPass:
    """`build_map`, then `rewrite` for each of `groups`. Raises, everywhere: CorruptRecords, StorageError, CleaningStopped."""

    def __init__(
        self, log: PartitionLog, view: LogView, cleanable: Cleanable, offsets: OffsetMap, chunk_bytes: int, pause: Pause
    ) -> None:
        self._log = log
        self._view = view
        self._cleanable = cleanable
        self._offsets = offsets
        self._chunk_bytes = chunk_bytes
        self._pause = pause
        self._cleaner: BatchCleaner | None = None
        self._transactions = CleanedTransactions(view.aborted)
        self.bytes_read = 0
        self.bytes_written = 0

    @property
    def end_offset(self) -> int:
        """Up to where the pass cleans; known after `build_map`."""
        return self._offsets.latest_offset + 1

    @property
    def records_without_key(self) -> int:
        return self._cleaner.records_without_key if self._cleaner is not None else 0

    def build_map(self) -> None:
        """Read the dirty segments until their end, or until the map is full."""
        start, end = self._cleanable.first_dirty_offset, self._cleanable.first_uncleanable_offset
        # Of one that ended before, the marker would not be met, and its producer's next records would seem aborted.
        transactions = CleanedTransactions(entry for entry in self._view.aborted if entry.last_offset >= start)
        for header, batch in self._batches(start, end):
            read = add_batch(self._offsets, transactions, header, batch, start)
            self._pause(header.size, read)
            if self._offsets.is_full:
                return
        # Offsets that compaction has left out at the end of a segment are clean as well.
        self._offsets.pass_over(end - 1)

    def groups(self) -> Sequence[SegmentGroup]:
        view = self._view
        self._cleaner = BatchCleaner(
            self._offsets,
            self._transactions,
            view.producers,
            now_ms=view.now_ms,
            delete_retention_ms=view.config.delete_retention_ms,
            end_offset=self.end_offset,
        )
        return group_segments(view.segments, self.end_offset, view.config)

    def rewrite(self, group: SegmentGroup) -> Rewritten | None:
        """Write what is left of a group; None if it would be as it was."""
        assert self._cleaner is not None, "groups come first"
        rewrite = self._log.rewrite(group.base_offset, group.end_offset)
        self._transactions.kept.clear()
        is_changed = len(group.segments) > 1
        try:
            for header, batch in self._batches(group.base_offset, group.end_offset):
                cleaner = self._cleaner
                before = cleaner.records_read
                left = cleaner.clean(header, batch)
                is_changed = is_changed or left is not batch
                if left is not None:
                    self._write(rewrite, left)
                self._pause(header.size + len(left or b""), cleaner.records_read - before)
            if not is_changed:
                rewrite.abandon()
                return None
            rewrite.finish()
        except BaseException:
            rewrite.abandon()
            raise
        return Rewritten(group, rewrite, list(self._transactions.kept))

    def _write(self, rewrite: SegmentRewrite, batch: bytes | memoryview) -> None:
        header = read_header(batch)
        span = BatchSpan(len(batch), header.base_offset, header.last_offset, header.max_timestamp)
        rewrite.append((batch,), (span,))
        self.bytes_written += len(batch)

    def _batches(self, start: int, end: int) -> Iterator[tuple[BatchHeader, memoryview]]:
        """Whole, checked batches from the one that contains `start` up to `end`, which is the border of a segment."""
        offset = start
        while offset < end:
            chunk = memoryview(self._log.read(offset, end, self._chunk_bytes))
            if not chunk:
                return
            before = offset
            for position, header in iterate(chunk):
                if not crc_matches(chunk, position, header):
                    raise CorruptRecords(f"the batch at offset {header.base_offset} does not match its CRC")
                offset = header.next_offset
                self.bytes_read += header.size
                yield header, chunk[position : position + header.size]
            if offset == before:
                raise CorruptRecords(f"no whole batch is found at offset {offset}")
