"""What a partition answers, and what it needs of those who wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mainstem.api.files import Buffer
from mainstem.core.log.aborted import AbortedTransaction
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


class ReadOutcome(NamedTuple):
    """`aborted` is filled for read_committed only: the transactions whose records the reader must skip."""

    error: ErrorCode
    data: Buffer
    high_watermark: int
    last_stable_offset: int
    log_start_offset: int
    aborted: Sequence[AbortedTransaction] = ()
