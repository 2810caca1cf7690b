"""The unit of work of pipelines, connectors and transports: columns of records of one split, never one object per record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainstem.model.columns import Headers


class Batch(msgspec.Struct, kw_only=True):
    """All columns have the same length; `headers` is None when no record has any. Timestamps in ms since 1970 (UTC).

    `values` and `keys` are bytes where they come from a topic and Python values after deserialization.
    """

    keys: list[Any]
    values: list[Any]
    timestamps: list[int]
    headers: list[Headers] | None = None

    def __len__(self) -> int:
        return len(self.values)


class SourceBatch(msgspec.Struct, kw_only=True):
    """What a read returned. `next_position` continues after it; `at_end` says that a bounded split has nothing more."""

    split: str
    batch: Batch
    next_position: Any
    at_end: bool = False
    watermark_ms: int | None = None


Columns = Sequence[Any]
