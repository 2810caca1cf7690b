"""The unit of work of pipelines, connectors and transports: columns of records of one split, no object per
record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from mainstem.model.columns import Headers


class Batch(msgspec.Struct, kw_only=True):
    """All columns have the same length. Timestamps in ms since 1970 (UTC).

    `values` and `keys` are bytes where they come from a topic and Python values after deserialization.
    `headers` is None when no record has any.
    """

    keys: list[Any]
    values: list[Any]
    timestamps: list[int]
    headers: list[Headers] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, first: int, end: int) -> Batch:
        """A copy of the records from place `first` to before `end`."""
        return Batch(
            keys=self.keys[first:end],
            values=self.values[first:end],
            timestamps=self.timestamps[first:end],
            headers=None if self.headers is None else self.headers[first:end],
        )

    def extend(self, more: Batch) -> None:
        """By the records of another one, behind those that are here."""
        if self.headers is None and more.headers is not None:
            self.headers = [()] * len(self)
        if self.headers is not None:
            self.headers.extend(more.headers if more.headers is not None else [()] * len(more))
        self.keys.extend(more.keys)
        self.values.extend(more.values)
        self.timestamps.extend(more.timestamps)


class SourceBatch(msgspec.Struct, kw_only=True):
    """What a read returned. `next_position` continues after it; `at_end`: a bounded split has nothing more.

    `offsets` is the place of each record as people would look it up (offset in a partition, row in a file);
    it names the record in errors and is otherwise not used. A `watermark_ms` says that no older record will
    follow in this split; without one it is the newest timestamp seen. `raw` is what was read before it was decoded, record
    by record, for dead letters.
    """

    split: str
    batch: Batch
    next_position: Any
    at_end: bool = False
    watermark_ms: int | None = None
    offsets: Sequence[int] | None = None
    raw: Batch | None = None


RECORD_OVERHEAD_BYTES = 32


def size_of(batch: Batch) -> int:
    """About how many bytes its records take, counted as `slices` does. Keys and values are bytes or None."""
    size = sum(map(len, filter(None, batch.values))) + sum(map(len, filter(None, batch.keys)))
    for pairs in batch.headers or ():
        size += _size_of_headers(pairs)
    return size + RECORD_OVERHEAD_BYTES * len(batch)


def _size_of_headers(pairs: Headers) -> int:
    return sum(len(name) + len(content or b"") + 4 for name, content in pairs)


def slices(batch: Batch, batch_bytes: int, records_max: int | None = None) -> Iterator[tuple[int, int]]:
    """Places to cut so that a part stays below `batch_bytes` before compression, unless one record is larger, and has at most
    `records_max` records. Keys and values are bytes or None."""
    first = size = 0
    for place, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
        record = RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"")
        if batch.headers is not None:
            record += _size_of_headers(batch.headers[place])
        if place > first and (size + record > batch_bytes or place - first == records_max):
            yield first, place
            first, size = place, 0
        size += record
    if len(batch) > first:
        yield first, len(batch)
