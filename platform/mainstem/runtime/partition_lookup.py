"""Find a record by time in one partition. Blocking: runs in a thread. Source: Kafka's `UnifiedLog.fetchOffsetByTimestamp`, 4.1."""

from __future__ import annotations

from typing import NamedTuple

from mainstem.model import records
from mainstem.runtime.partition import Partition


class TimestampedOffset(NamedTuple):
    timestamp: int
    offset: int


def offset_for_time(partition: Partition, timestamp: int) -> TimestampedOffset | None:
    """The first committed record that is not older than `timestamp` (ms). Raises: StorageError, CorruptRecords."""
    end = partition.last_stable_offset
    base = partition.log.offset_for_time(timestamp, end)
    if base is None:
        return None
    # The batch's largest timestamp is late enough, so one of its records is.
    columns = records.decode(
        memoryview(partition.log.read(base, end, 1)), from_offset=partition.log_start_offset, limit=1
    )
    for stamp, offset in zip(columns.timestamps, columns.offsets, strict=True):
        if stamp >= timestamp:
            return TimestampedOffset(stamp, offset)
    return None


def largest_timestamp(partition: Partition) -> TimestampedOffset | None:
    """The committed record with the largest timestamp, the first of several (KIP-734)."""
    largest = max((s.max_timestamp for s in partition.log.segments()), default=-1)
    return offset_for_time(partition, largest) if largest >= 0 else None
