"""Only the first of what is the same. What is forgotten is said by event time: nothing is the same after `within_ms`.

The store has a group for each stretch of event time in which something was first seen (`within_ms` long, by its number); in it,
by key and selected value, when. A group is dropped once the watermark has left it that far behind that nothing in it
can match.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.aggregating import check_keys
from mainstem.pipeline.operators.quiet import Quiet
from mainstem.pipeline.operators.stateful import NEVER_MS, Emission, Moment, Stores
from mainstem.pipeline.operators.stateless import pick
from mainstem.pipeline.plan.fields import select
from mainstem.pipeline.plan.steps import Deduplicate


class Deduplication(Quiet):
    """A record is a repetition if a record with the same key and value was passed on less than `within_ms` away from it in
    event time, before or behind."""

    def __init__(self, step: Deduplicate) -> None:
        self._selector = step.selector
        self._within_ms = step.within_ms

    def open(self, stores: Stores) -> None:
        self._store = stores.own

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        marks = self._marks(batch)
        kept = [row for row, mark in enumerate(marks) if self._is_first(mark, batch.timestamps[row])]
        if not kept:
            return []
        return [Emission(batch if len(kept) == len(batch) else pick(batch, kept), places=kept)]

    def _marks(self, batch: Batch) -> Sequence[Any]:
        check_keys(batch.keys)
        if self._selector is None:
            return batch.keys
        values = select(self._selector, batch.values)
        marks = list(zip(batch.keys, values, strict=True))
        for row, mark in enumerate(marks):
            try:
                hash(mark)
            except TypeError as error:
                raise StageFailure(f"deduplicate by {values[row]!r:.60}: {error}", row) from None
        return marks

    def _is_first(self, mark: Any, time: int) -> bool:
        within = self._within_ms
        stretch = time // within
        for group in (stretch - 1, stretch, stretch + 1):
            for seen in self._store.load(group, (mark,)).get(mark, ()):
                if abs(time - seen) < within:
                    return False
        self._store.load(stretch, (mark,)).setdefault(mark, []).append(time)
        self._store.touch(stretch, (mark,))
        return True

    def on_watermark(self, watermark_ms: int) -> Iterable[Emission]:
        """A record older than the watermark is late, yet it is still told from one that was before it by a whole stretch."""
        if watermark_ms >= NEVER_MS:
            return ()  # a bounded run has ended, which does not make anything older
        for group in list(self._store.groups()):
            if (group + 3) * self._within_ms <= watermark_ms:
                self._store.drop(group)
        return ()
