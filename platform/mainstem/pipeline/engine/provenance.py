"""Which record of the source a record in the middle of a pipeline came from, worked out only when it is
asked.

Stages that keep every record note nothing. A filter notes its mask, a flat_map how many records came of
each. Walking back through these notes turns a place in the current batch into a place in the batch that was
read; walking forward brings a column of the batch that was read to where the current batch is.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from itertools import accumulate, compress
from typing import Any, Protocol

from mainstem.api.batch import SourceBatch


class Origin(Protocol):
    def filtered(self, mask: Sequence[Any]) -> None: ...

    def expanded(self, counts: Sequence[int]) -> None: ...

    def replaced(self) -> None:
        """A function of whole batches made records; nobody knows from which."""

    def place(self, index: int | None) -> str:
        """Where people find the record, or all that is known if `index` is None."""


class SourceOrigin:
    """Lives while one batch that was read is on its way: `split flights-0, offset 17`."""

    __slots__ = ("_notes", "_read", "is_known")

    def __init__(self, read: SourceBatch) -> None:
        self._read = read
        self._notes: list[tuple[bool, Sequence[Any]]] = []
        self.is_known = True

    def filtered(self, mask: Sequence[Any]) -> None:
        self._notes.append((True, mask))

    def expanded(self, counts: Sequence[int]) -> None:
        self._notes.append((False, counts))

    def replaced(self) -> None:
        self.is_known = False

    def carry(self, column: list[int]) -> list[int]:
        """A column of the batch that was read, for the records of the current batch. Needs `is_known`."""
        for is_mask, note in self._notes:
            if is_mask:
                column = list(compress(column, note))
            else:
                column = [item for item, count in zip(column, note, strict=True) for _ in range(count)]
        return column

    def place(self, index: int | None) -> str:
        split, offsets = self._read.split, self._read.offsets
        if not offsets:
            return f"split {split}"
        if index is None or not self.is_known:
            return f"split {split}, offsets {offsets[0]} to {offsets[-1]}"
        for is_mask, note in reversed(self._notes):
            if is_mask:
                index = [place for place, kept in enumerate(note) if kept][index]
            else:
                index = next(place for place, end in enumerate(accumulate(note)) if index < end)
        return f"split {split}, offset {offsets[index]}"


class WindowOrigin:
    """Records that a window made: `window 2013-01-01T00:00:00Z`."""

    __slots__ = ("_start_ms",)

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms

    def filtered(self, mask: Sequence[Any]) -> None:
        pass

    def expanded(self, counts: Sequence[int]) -> None:
        pass

    def replaced(self) -> None:
        pass

    def place(self, index: int | None) -> str:
        return f"window {time_text(self._start_ms)}"


def time_text(time_ms: int) -> str:
    """ISO 8601 in UTC; the number itself where a calendar has no such time."""
    try:
        moment = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"
    return moment.isoformat(timespec="seconds" if time_ms % 1000 == 0 else "milliseconds").replace("+00:00", "Z")
