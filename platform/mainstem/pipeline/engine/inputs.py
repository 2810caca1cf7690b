"""Where an engine reads: the form that topics and connectors take for it, batches of splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mainstem.api.batch import SourceBatch
from mainstem.model.errors import MainstemError
from mainstem.pipeline.engine.provenance import SourceOrigin
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.plan.fields import Selector, event_times


class InputFailure(Exception):
    """Reading failed. `place` names the split and, if known, the record."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


class SplitListener(Protocol):
    """The engine. It is called only while it waits for `Input.read`, so nothing else of it is running."""

    async def assigned(self, splits: Sequence[str]) -> None: ...

    async def revoked(self, splits: Sequence[str]) -> None:
        """Commits still count until this returns."""

    async def lost(self, splits: Sequence[str]) -> None: ...


class Input(Protocol):
    @property
    def is_finished(self) -> bool:
        """Everything that a bounded source has was returned."""

    @property
    def records_total(self) -> int | None:
        """About how many records this run will read; None if it is unbounded or nobody knows."""

    async def open(self, listener: SplitListener) -> None: ...

    def position(self, split: str) -> Any:
        """Where reading of a split began; None: at its start, or it has not begun."""

    def lag(self, split: str) -> int | None:
        """Records of the split that were not read yet, if known; 0 means that it is read to its end."""

    async def read(self, max_wait_ms: int) -> Sequence[SourceBatch]:
        """Raises: InputFailure."""

    async def commit(self, positions: Mapping[str, Any]) -> None:
        """Returns when they are stored."""

    async def close(self) -> None: ...


def set_event_times(read: SourceBatch, timestamp: Selector) -> None:
    try:
        read.batch.timestamps = event_times(timestamp, read.batch.values)
    except StageFailure as failure:
        reason = f"the event time cannot be read: {failure}"
        raise InputFailure(SourceOrigin(read).place(failure.index), reason) from failure


def reason_of(error: Exception) -> str:
    """What an error says to a reader: our own texts name what to do, others need their type in front."""
    return str(error) if isinstance(error, MainstemError) else f"{type(error).__name__}: {error}"
