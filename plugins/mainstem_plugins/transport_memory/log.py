"""Records of one partition as columns in memory, compacted if its topic says so."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from mainstem.api.batch import Batch
from mainstem.api.transport import FetchedBatch, TransportError
from mainstem.model.columns import Columns
from mainstem.model.ids import TopicPartition

COMPACT_FROM_RECORDS = 10_000


class MemoryLog:
    """A compacted log is cleaned when it has twice the records it had after the last time, so that each append pays a
    bounded share of it. A tombstone goes `delete_retention_ms` after the first cleaning that saw it, as in Kafka."""

    def __init__(self, *, is_compacted: bool, delete_retention_ms: int) -> None:
        self.start = 0
        self.end = 0
        self._is_compacted = is_compacted
        self._delete_retention_ms = delete_retention_ms
        self._columns = Columns(offsets=[], timestamps=[], keys=[], values=[], headers=[])
        self._compact_at = COMPACT_FROM_RECORDS
        self._tombstones_seen: dict[int, int] = {}

    def append(self, partition: TopicPartition, batch: Batch, now_ms: int) -> None:
        """Raises: TransportError, as `check`."""
        self.check(partition, batch)
        columns, count = self._columns, len(batch)
        columns.offsets.extend(range(self.end, self.end + count))
        columns.timestamps.extend(batch.timestamps)
        columns.keys.extend(batch.keys)
        columns.values.extend(batch.values)
        columns.headers.extend(batch.headers if batch.headers is not None else [()] * count)
        self.end += count
        if self._is_compacted and len(columns) >= self._compact_at:
            self._compact(now_ms)

    def check(self, partition: TopicPartition, batch: Batch) -> None:
        """Raises: TransportError for a record without a key if the log is compacted."""
        if self._is_compacted and None in batch.keys:
            raise TransportError(f"{partition}: records of a compacted topic need a key")

    def _compact(self, now_ms: int) -> None:
        columns = self._columns
        last = {key: place for place, key in enumerate(columns.keys)}
        kept, seen = [], {}
        for place in sorted(last.values()):
            if columns.values[place] is None:
                offset = columns.offsets[place]
                since = self._tombstones_seen.get(offset, now_ms)
                if now_ms - since >= self._delete_retention_ms and offset in self._tombstones_seen:
                    continue
                seen[offset] = since
            kept.append(place)
        self._tombstones_seen = seen
        self._columns = Columns(
            offsets=[columns.offsets[place] for place in kept],
            timestamps=[columns.timestamps[place] for place in kept],
            keys=[columns.keys[place] for place in kept],
            values=[columns.values[place] for place in kept],
            headers=[columns.headers[place] for place in kept],
        )
        self._compact_at = max(COMPACT_FROM_RECORDS, 2 * len(kept))

    def fetched(self, partition: TopicPartition, offset: int, max_records: int) -> FetchedBatch:
        """Raises: TransportError if the offset is behind the end."""
        if not 0 <= offset <= self.end:
            raise TransportError(f"{partition} cannot be read at offset {offset}: it ends at {self.end}")
        columns = self._columns
        first = bisect_left(columns.offsets, offset)
        end = min(first + max_records, len(columns))
        headers: list[Any] = columns.headers[first:end]
        return FetchedBatch(
            partition=partition,
            batch=Batch(
                keys=columns.keys[first:end],
                values=columns.values[first:end],
                timestamps=columns.timestamps[first:end],
                headers=headers if any(headers) else None,
            ),
            offsets=columns.offsets[first:end],
            next_offset=self.end if end == len(columns) else columns.offsets[end],
            end_offset=self.end,
        )

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Raises: TransportError if the offset is behind the end."""
        if not 0 <= offset <= self.end:
            raise TransportError(f"{partition} cannot be cut at offset {offset}: it ends at {self.end}")
        self._columns.drop_first(bisect_left(self._columns.offsets, offset))
        self.start = max(self.start, offset)

    def offset_for_time(self, timestamp: int) -> int:
        columns = self._columns
        return next(
            (at for at, time in zip(columns.offsets, columns.timestamps, strict=True) if time >= timestamp), self.end
        )
