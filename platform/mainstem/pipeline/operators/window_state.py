"""The windows that are open: per window start and key the states of the aggregates, in memory.

A window remembers the epoch (the time between two checkpoints) in which its first record came. As long as it
is open, positions are committed only up to the beginning of that epoch, so that a crash replays everything
it holds. What an earlier run had closed is known by the stored watermark and dropped when it is replayed: a
window is never emitted a second time with only a part of its records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mainstem.api.batch import Batch
from mainstem.pipeline.engine.watermarks import BEGINNING
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.plan.aggregates import Aggregate
from mainstem.pipeline.plan.fields import Selector, select
from mainstem.pipeline.plan.steps import WINDOW_END, WINDOW_START, Window

RESULTS_PER_BATCH = 10_000


class _Open:
    """One window. `states` holds, per key, one state per aggregate; `newest_ms` is the largest event time among its records."""

    __slots__ = ("first_epoch", "newest_ms", "states")

    def __init__(self, epoch: int) -> None:
        self.first_epoch = epoch
        self.newest_ms = BEGINNING
        self.states: dict[Any, list[Any]] = {}


class Closed(NamedTuple):
    """Results of one window, some keys of it. Their event time is that of the newest record in the window: its end may lie in
    the future when a bounded source ends, and brokers refuse records from there.
    """

    start_ms: int
    batch: Batch


class WindowState:
    """Owned by one run of a pipeline. `closed_until_ms`: windows whose end plus grace is not above it are
    final.
    """

    def __init__(self, step: Window) -> None:
        self._step = step
        self._names: Sequence[str] = tuple(step.aggregates)
        self._aggregates: Sequence[Aggregate] = tuple(step.aggregates.values())
        self._open: dict[int, _Open] = {}
        self.closed_until_ms: int | None = None

    def __len__(self) -> int:
        return len(self._open)

    def starts(self, batch: Batch) -> list[int]:
        return self._step.window.starts(batch.timestamps)

    def final_at(self, start_ms: int) -> int:
        """The watermark that closes the window of this start."""
        return start_ms + self._step.window.size_ms + self._step.grace_ms

    def first_epochs(self) -> set[int]:
        return {window.first_epoch for window in self._open.values()}

    def clear(self) -> None:
        """Forget the open windows: what they hold will be read again."""
        self._open.clear()

    def add(self, batch: Batch, starts: Sequence[int], epoch: int) -> None:
        """Take records that are not late into their windows. Raises: StageFailure."""
        columns = _columns(self._aggregates, batch)
        timestamps = batch.timestamps
        for (start, key), places in _groups(starts, batch.keys).items():
            window = self._open.get(start)
            if window is None:
                window = self._open[start] = _Open(epoch)
            newest_ms = max(map(timestamps.__getitem__, places))
            if newest_ms > window.newest_ms:
                window.newest_ms = newest_ms
            states = window.states.get(key)
            if states is None:
                states = window.states[key] = [aggregate.initial() for aggregate in self._aggregates]
            for number, aggregate in enumerate(self._aggregates):
                column = columns[aggregate.selector]
                values = [column[place] for place in places if column[place] is not None]
                if values:
                    try:
                        states[number] = aggregate.add(states[number], values)
                    except Exception as error:  # an aggregate may be a user's own; the engine names the place
                        raise self._failure(number, error, column, places) from error

    def _failure(self, number: int, error: Exception, column: list[Any], places: list[int]) -> StageFailure:
        """Which value it was shows when each is added alone."""
        aggregate, name = self._aggregates[number], self._names[number]
        for place in places:
            if column[place] is not None:
                try:
                    aggregate.add(aggregate.add(aggregate.initial(), [column[place]]), [column[place]])
                except Exception:  # as above
                    return StageFailure(f"{name} of {column[place]!r:.60}: {error}", place)
        return StageFailure(f"{name}: {error}", places[0])

    def close(self, watermark_ms: int) -> Iterator[Closed]:
        """Take the windows that this watermark makes final, oldest first, keys in order of appearance."""
        final = sorted(start for start in self._open if self.final_at(start) <= watermark_ms)
        for start in final:
            window = self._open.pop(start)
            until = self.final_at(start)
            self.closed_until_ms = until if self.closed_until_ms is None else max(self.closed_until_ms, until)
            keys = list(window.states)
            for first in range(0, len(keys), RESULTS_PER_BATCH):
                yield Closed(start, self._results(start, keys[first : first + RESULTS_PER_BATCH], window))

    def _results(self, start: int, keys: list[Any], window: _Open) -> Batch:
        end = start + self._step.window.size_ms
        values = [
            {**self._key_fields(key), WINDOW_START: start, WINDOW_END: end, **self._computed(window.states[key])}
            for key in keys
        ]
        return Batch(keys=keys, values=values, timestamps=[window.newest_ms] * len(keys))

    def _key_fields(self, key: Any) -> dict[str, Any]:
        fields = self._step.key_fields
        return {fields[0]: key} if len(fields) == 1 else dict(zip(fields, key, strict=True))

    def _computed(self, states: list[Any]) -> dict[str, Any]:
        return {
            name: aggregate.result(state)
            for name, aggregate, state in zip(self._names, self._aggregates, states, strict=True)
        }


def _columns(aggregates: Sequence[Aggregate], batch: Batch) -> dict[Selector | None, list[Any]]:
    """Every column once, however many aggregates use it."""
    columns: dict[Selector | None, list[Any]] = {}
    for aggregate in aggregates:
        selector = aggregate.selector
        if selector not in columns:
            columns[selector] = batch.keys if selector is None else select(selector, batch.values)
    if None in columns:
        columns[None] = [True] * len(batch)  # counts records, also those whose key or value is null
    return columns


def _groups(starts: Sequence[int], keys: Sequence[Any]) -> dict[tuple[int, Any], list[int]]:
    """The places in the batch of each (window start, key), in order of appearance."""
    groups: dict[tuple[int, Any], list[int]] = {}
    place = 0
    try:
        for place, group in enumerate(zip(starts, keys, strict=True)):
            places = groups.get(group)
            if places is None:
                groups[group] = [place]
            else:
                places.append(place)
    except TypeError as error:
        raise StageFailure(
            f"the key {keys[place]!r:.60} cannot be used ({error}); take text, numbers or tuples of them", place
        ) from None
    return groups
