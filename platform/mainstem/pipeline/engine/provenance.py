"""Which record of the source a record in the middle of a pipeline came from, worked out only when it is
asked.

Stages that keep every record note nothing. A filter notes its mask, a flat_map how many records came of
each, a step with state the place of each. Walking back through these notes turns a place in the current batch into a place in
the batch that was read; walking forward brings a column of the batch that was read to where the current batch is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, compress
from typing import Any, Protocol, Self

from mainstem.api.batch import SourceBatch


class Origin(Protocol):
    @property
    def is_known(self) -> bool:
        """Each record of the batch comes from one that was read."""

    @property
    def read(self) -> SourceBatch | None: ...

    def filtered(self, mask: Sequence[Any]) -> None: ...

    def expanded(self, counts: Sequence[int]) -> None: ...

    def gathered(self, places: Sequence[int]) -> None:
        """Record `i` of the new batch is, or was made of, record `places[i]` of the one before."""

    def replaced(self) -> None:
        """A function of whole batches made records; nobody knows from which."""

    def fork(self) -> Self:
        """For a second stage that gets the same batch."""

    def row(self, index: int) -> int | None:
        """The place in the batch that was read, None if nobody knows."""

    def carry(self, column: list[int]) -> list[int]:
        """A column of the batch that was read, for the records of the current batch. Needs `is_known`."""

    def place(self, index: int | None) -> str:
        """Where people find the record, or all that is known if `index` is None."""


_MASK, _COUNTS, _PLACES = range(3)


class SourceOrigin:
    """Lives while one batch that was read is on its way: `split flights-0, offset 17`."""

    __slots__ = ("_notes", "is_known", "read")

    def __init__(self, read: SourceBatch) -> None:
        self.read = read
        self._notes: list[tuple[int, Sequence[Any]]] = []
        self.is_known = True

    def filtered(self, mask: Sequence[Any]) -> None:
        self._notes.append((_MASK, mask))

    def expanded(self, counts: Sequence[int]) -> None:
        self._notes.append((_COUNTS, counts))

    def gathered(self, places: Sequence[int]) -> None:
        self._notes.append((_PLACES, places))

    def replaced(self) -> None:
        self.is_known = False

    def fork(self) -> SourceOrigin:
        other = SourceOrigin(self.read)
        other._notes = self._notes.copy()
        other.is_known = self.is_known
        return other

    def carry(self, column: list[int]) -> list[int]:
        for kind, note in self._notes:
            if kind == _MASK:
                column = list(compress(column, note))
            elif kind == _COUNTS:
                column = [item for item, count in zip(column, note, strict=True) for _ in range(count)]
            else:
                column = [column[place] for place in note]
        return column

    def row(self, index: int) -> int | None:
        if not self.is_known:
            return None
        for kind, note in reversed(self._notes):
            if kind == _MASK:
                index = [place for place, kept in enumerate(note) if kept][index]
            elif kind == _COUNTS:
                index = next(place for place, end in enumerate(accumulate(note)) if index < end)
            else:
                index = note[index]
        return index

    def place(self, index: int | None) -> str:
        split, offsets = self.read.split, self.read.offsets
        if not offsets:
            return f"split {split}"
        row = None if index is None else self.row(index)
        if row is None:
            return f"split {split}, offsets {offsets[0]} to {offsets[-1]}"
        return f"split {split}, offset {offsets[row]}"


class MadeOrigin:
    """Records that a stage made of several: `window 2013-01-01T00:00:00Z`."""

    __slots__ = ("_about",)
    is_known = False
    read: SourceBatch | None = None

    def __init__(self, about: str) -> None:
        self._about = about

    def filtered(self, mask: Sequence[Any]) -> None:
        pass

    def expanded(self, counts: Sequence[int]) -> None:
        pass

    def gathered(self, places: Sequence[int]) -> None:
        pass

    def replaced(self) -> None:
        pass

    def fork(self) -> MadeOrigin:
        return self

    def row(self, index: int) -> int | None:
        return None

    def carry(self, column: list[int]) -> list[int]:
        raise AssertionError("nobody knows where these records came from")

    def place(self, index: int | None) -> str:
        return self._about
