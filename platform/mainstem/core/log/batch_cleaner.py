"""What compaction leaves of one batch.

Offsets, sequences and timestamps never change; a batch keeps its first and last offset however few records are left in it.

    batch 0..4    a=1  b=1  a=2  c=∅  a=3      last offsets: a 4, b 9, c 3
    first pass    .    .    .    c=∅  a=3      the tombstone gets a delete horizon, now + delete.retention.ms
    later pass    .    .    .    .    a=3      the horizon has passed

Sources: KIP-98 (markers), KIP-534 (horizon); Kafka's `Cleaner.cleanInto` and `MemoryRecords.filterTo`, 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainstem.core.log.cleaned_transactions import CleanedTransactions
from mainstem.core.log.offset_map import OffsetMap
from mainstem.core.log.producer_state import LastBatch
from mainstem.model.batch import BatchHeader
from mainstem.model.batch_records import BatchRecord, emptied, read_records, rebuild


def add_batch(
    offsets: OffsetMap, transactions: CleanedTransactions, header: BatchHeader, batch: bytes | memoryview, start: int
) -> int:
    """Put the keys of a dirty batch from offset `start` on into the map until it is full; returns how many records were read.

    Raises: CorruptRecords.
    """
    read = 0
    if not transactions.meet(header, batch) and not header.is_control:
        for record in read_records(batch, header):
            key, offset = record.key, record.offset
            read += 1
            if key is not None and offset >= start and not offsets.put(key, offset):
                return read
    if header.last_offset >= start:
        offsets.pass_over(header.last_offset)
    return read


class BatchCleaner:
    """One pass over one log. `end_offset`: up to where the pass cleans; its last batch stays, so that the offset is not lost."""

    def __init__(
        self,
        offsets: OffsetMap,
        transactions: CleanedTransactions,
        producers: Mapping[int, LastBatch],
        *,
        now_ms: int,
        delete_retention_ms: int,
        end_offset: int,
    ) -> None:
        self._offsets = offsets
        self._transactions = transactions
        self._producers = producers
        self._now_ms = now_ms
        self._horizon_ms = now_ms + delete_retention_ms
        self._end_offset = end_offset
        self.records_read = 0
        self.records_kept = 0
        self.records_without_key = 0

    def clean(self, header: BatchHeader, batch: bytes | memoryview) -> bytes | memoryview | None:
        """The batch as it was, as it is written instead, or None if nothing is left of it. Raises: CorruptRecords."""
        has_no_meaning = self._transactions.meet(header, batch)
        horizon = header.delete_horizon_ms
        has_passed = 0 <= horizon <= self._now_ms
        is_dropped = has_no_meaning and (has_passed or not header.is_control)
        if is_dropped:
            self.records_read += header.records_count
            kept: Sequence[BatchRecord] = ()
        else:
            records = read_records(batch, header)
            self.records_read += len(records)
            kept = records if header.is_control else self._newest(records, has_passed)
            self.records_kept += len(kept)
            needs_horizon = horizon < 0 and (
                has_no_meaning if header.is_control else self._has_tombstones(header, kept)
            )
            if kept and needs_horizon:
                return rebuild(header, kept, delete_horizon_ms=self._horizon_ms)
            if kept and len(kept) == len(records):
                return batch
            if kept:
                return rebuild(header, kept, delete_horizon_ms=horizon)
        if self._must_stay(header):
            return batch if header.records_count == 0 else emptied(header)
        return None

    def _newest(self, records: Sequence[BatchRecord], has_passed: bool) -> Sequence[BatchRecord]:
        kept = []
        latest, get = self._offsets.latest_offset, self._offsets.get
        for record in records:
            if record.offset > latest:
                kept.append(record)
                continue
            key = record.key
            if key is None:
                self.records_without_key += 1
            elif record.offset >= get(key) and not (has_passed and record.value is None):
                kept.append(record)
        return kept

    def _has_tombstones(self, header: BatchHeader, kept: Sequence[BatchRecord]) -> bool:
        """Tombstones of a batch within which the map was full may not have removed anything yet: their time begins later."""
        return header.last_offset <= self._offsets.latest_offset and any(record.value is None for record in kept)

    def _must_stay(self, header: BatchHeader) -> bool:
        if header.next_offset == self._end_offset:
            return True
        last = self._producers.get(header.producer_id) if header.producer_id >= 0 else None
        if last is None:
            return False
        if last.last_offset >= 0:
            return header.last_offset == last.last_offset
        return header.is_control and header.producer_epoch == last.epoch
