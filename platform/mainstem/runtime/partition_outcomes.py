"""What a partition answers, and what it needs of those who wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from mainstem.api.files import Buffer
from mainstem.core.log.validation import RecordError
from mainstem.model.errors import ErrorCode


class FetchWaiter(Protocol):
    """A request that waits for bytes (`runtime.purgatory`)."""

    def wake(self, *, at_once: bool = False) -> None: ...


class AppendOutcome(NamedTuple):
    """`log_append_time_ms` is -1 where clients stamp their records. A duplicate has the offsets of the first time."""

    error: ErrorCode
    base_offset: int = -1
    last_offset: int = -1
    log_append_time_ms: int = -1
    message: str | None = None
    record_errors: Sequence[RecordError] = ()


class ReadUpTo(IntEnum):
    """How far a reader may see."""

    HIGH_WATERMARK = 0
    LAST_STABLE_OFFSET = 1
    LOG_END = 2
    """For followers: what they read is what makes it committed."""


class ReadOutcome(NamedTuple):
    """`aborted`: (producer id, first offset) of the aborted transactions among `data`, for readers up to the last stable offset."""

    error: ErrorCode
    data: Buffer
    high_watermark: int
    last_stable_offset: int
    log_start_offset: int
    aborted: Sequence[tuple[int, int]] = ()
    diverging: tuple[int, int] | None = None
    """(epoch, its end offset) where the reader's log is another one than this; there is no data then."""
