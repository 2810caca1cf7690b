"""How far event time has come: per split the newest time seen, over all the least of them.

split   newest   state              watermark = min over active splits = 12:04, and it never goes back
a       12:07    active
b       12:04    active
c       11:00    idle (caught up and silent): does not count until it speaks again
d       12:30    finished: counts as infinity
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

BEGINNING = -(1 << 62)
END = 1 << 62


class Watermarks:
    """Owned by one run of a pipeline. All times in ms."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._idle: set[str] = set()
        self.current = BEGINNING

    def restore(self, watermark: int) -> None:
        """Continue where an earlier run was: windows that it closed are not opened again."""
        self.current = max(self.current, watermark)

    def assign(self, split: str) -> None:
        self._newest.setdefault(split, BEGINNING)

    def remove(self, split: str) -> None:
        self._newest.pop(split, None)
        self._idle.discard(split)

    def reset(self) -> None:
        """Forget everything but the splits' names: what they hold will be read again."""
        self._newest = dict.fromkeys(self._newest, BEGINNING)
        self._idle.clear()
        self.current = BEGINNING

    def observe(self, split: str, newest: int) -> None:
        """A record of this time was seen in the split, or its source says that no older one will follow."""
        self._idle.discard(split)
        if newest > self._newest[split]:
            self._newest[split] = newest

    def finish(self, split: str) -> None:
        self.observe(split, END)

    def mark_idle(self, split: str) -> None:
        self._idle.add(split)

    def advance(self) -> int:
        """Take everything observed into account; returns the watermark."""
        least = min((time for split, time in self._newest.items() if split not in self._idle), default=BEGINNING)
        self.current = max(self.current, least)
        return self.current

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
            (time for other, time in self._newest.items() if other != split and other not in self._idle),
            default=END,
        )
