"""The unit of work of pipelines, connectors and transports: columns of records of one split, no object per
record.
"""

from __future__ import annotations

from collections.abc import Sequence
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
