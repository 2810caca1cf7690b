"""How far event time has come: per split the newest time seen, over all the least of them.

split   newest   state              watermark = min over active splits = 12:04, and it never goes back
a       12:07    active
b       12:04    active
c       11:00    idle (caught up and silent): does not count until it speaks again
d       12:30    finished: counts as infinity
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

BEGINNING = -(1 << 62)
END = 1 << 62


class Watermarks:
    """Owned by one task. All times in ms."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._idle: set[str] = set()
        self._finished: set[str] = set()
        self.current = BEGINNING

    def assign(self, split: str) -> None:
        self._newest.setdefault(split, BEGINNING)

    def restore(self, current: int, newest: Mapping[str, int]) -> None:
        """Continue where the last checkpoint was."""
        self.current = max(self.current, current)
        self._newest.update(newest)

    @property
    def newest(self) -> Mapping[str, int]:
        """The newest event time seen of each split."""
        return self._newest

    @property
    def is_finished(self) -> bool:
        return len(self._finished) == len(self._newest)

    @property
    def is_idle(self) -> bool:
        """No split speaks, so nobody knows how far time is."""
        return bool(self._newest) and all(split in self._idle for split in self._newest if split not in self._finished)

    def observe(self, split: str, newest: int) -> None:
        """A record of this time was seen in the split, or its source says that no older one will follow."""
        self._idle.discard(split)
        self._finished.discard(split)
        if newest > self._newest[split]:
            self._newest[split] = newest

    def finish(self, split: str) -> None:
        """Nothing more will come of it."""
        self._finished.add(split)

    def mark_idle(self, split: str) -> None:
        self._idle.add(split)

    def advance(self) -> int:
        """Take everything observed into account; returns the watermark."""
        least = min((self._reached(split) for split in self._newest if split not in self._idle), default=BEGINNING)
        self.current = max(self.current, least)
        return self.current

    def _reached(self, split: str) -> int:
        return END if split in self._finished else self._newest[split]

    def reach(self, split: str, newest: int) -> int:
        """How far the watermark could come with a record of this time; below it nothing can be late."""
        return max(self.current, min(max(newest, self._newest[split]), self._least_of_others(split)))

    def before_each(self, split: str, timestamps: Sequence[int]) -> list[int]:
        """The watermark just before each record of a batch, as if they came one by one.

        What is late must not depend on how records were cut into batches.
        """
        others, current = self._least_of_others(split), self.current
        own = accumulate(timestamps, max, initial=self._newest[split])
        return [max(current, min(newest, others)) for newest, _ in zip(own, timestamps, strict=False)]

    def _least_of_others(self, split: str) -> int:
        return min(
            (self._reached(other) for other in self._newest if other != split and other not in self._idle),
            default=END,
        )
