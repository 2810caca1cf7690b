"""Find a record by time in one partition. Blocking: runs in a thread. Source: Kafka's `UnifiedLog.fetchOffsetByTimestamp`, 4.1."""

from __future__ import annotations

from typing import NamedTuple

from mainstem.model import records
from mainstem.model.batch import iterate
from mainstem.runtime.partition import Partition


class TimestampedOffset(NamedTuple):
    timestamp: int
    offset: int


def offset_for_time(partition: Partition, timestamp: int) -> TimestampedOffset | None:
    """The first committed record that is not older than `timestamp` (ms). Raises: StorageError, CorruptRecords."""
    log, end = partition.log, partition.last_stable_offset
    offset = log.offset_for_time(timestamp, end)
    while offset is not None and offset < end:
        data = memoryview(log.read(offset, end, 1))
        columns = records.decode(data, from_offset=partition.log_start_offset)
        for stamp, found in zip(columns.timestamps, columns.offsets, strict=True):
            if stamp >= timestamp:
                return TimestampedOffset(stamp, found)
        # Compaction has taken the record that made the batch late enough, or it is a control batch: a later one will do.
        offset = max((header.next_offset for _, header in iterate(data)), default=None)
    return None


def largest_timestamp(partition: Partition) -> TimestampedOffset | None:
    """The committed record with the largest timestamp, the first of several (KIP-734)."""
    largest = max((s.max_timestamp for s in partition.log.segments()), default=-1)
    return offset_for_time(partition, largest) if largest >= 0 else None
