"""Tumbling and hopping windows: their bounds are known from a record's time alone.

The store has a group for each window, by its start; in it, per key, the newest event time and the states of the aggregates.
Closing a window touches nothing but its own group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.aggregating import Aggregates, check_keys
from mainstem.pipeline.operators.stateful import Emission, Moment, Stores
from mainstem.pipeline.operators.window_results import Result, by_record, by_time, late
from mainstem.pipeline.plan.steps import Every, Window
from mainstem.pipeline.plan.windows import Hopping, Tumbling

NEWEST, STATES = 0, 1


class _Rows(NamedTuple):
    """The records of a batch for one window and key."""

    start: int
    key: Any
    rows: list[int]


class FixedWindows:
    def __init__(self, step: Window, window: Tumbling | Hopping) -> None:
        self._window = window
        self._size_ms = window.size_ms
        self._grace_ms = step.grace_ms
        self._aggregates = Aggregates(step.aggregates, step.key_fields)
        self._emit = step.emit
        self._every_ms = step.emit.every_ms if isinstance(step.emit, Every) else None
        self._pending: dict[tuple[int, Any], None] = {}
        self._due_ms: int | None = None
        self._closed_until_ms: int | None = None

    @property
    def delay_ms(self) -> int:
        return self._size_ms + self._grace_ms

    def open(self, stores: Stores) -> None:
        self._store = stores.own
        self._pending.clear()
        self._due_ms = None
        if self._every_ms is not None:
            # Nobody knows what was told before a crash: the latest of every open window is told once more.
            self._pending = {
                (start, key): None for start in self._store.groups() for key in self._store.load_all(start)
            }
            self._due_ms = 0 if self._pending else None

    def _final_at(self, start: int) -> int:
        return start + self._size_ms + self._grace_ms

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        columns = self._aggregates.columns(batch)
        check_keys(batch.keys)
        starts = self._starts(batch.timestamps)
        least = min((one[-1] for one in starts if one), default=0)
        late_rows: Sequence[int] = ()
        if self._final_at(least) <= moment.reach_ms:
            late_rows = self._drop_closed(starts, moment.before_each())
        if self._emit == "update":
            made = self._add_each(batch, columns, starts)
        else:
            self._add_all(batch, columns, starts, moment)
            made = []
        return [*made, *late(batch, late_rows)]

    def _starts(self, timestamps: Sequence[int]) -> list[Sequence[int]]:
        starts_of = self._window.starts_of
        return [starts_of(timestamp) for timestamp in timestamps]

    def _drop_closed(self, starts: list[Sequence[int]], before: Sequence[int]) -> list[int]:
        """Leave to each record the windows that are open when it comes; returns the rows that have none."""
        late_rows = []
        for row, (mine, watermark) in enumerate(zip(starts, before, strict=True)):
            if mine and self._final_at(mine[-1]) <= watermark:
                starts[row] = still_open = [start for start in mine if self._final_at(start) > watermark]
                if not still_open:
                    late_rows.append(row)
        return late_rows

    def _add_all(self, batch: Batch, columns: list[list[Any]], starts: Sequence[Sequence[int]], moment: Moment) -> None:
        """Raises: StageFailure with nothing taken in."""
        groups = _groups(starts, batch.keys)
        undo: list[tuple[_Rows, Any]] = []
        for one in groups:
            held = self._store.load(one.start, (one.key,))
            entry = held.get(one.key)
            undo.append((one, None if entry is None else [entry[NEWEST], list(entry[STATES])]))
            newest = max(batch.timestamps[row] for row in one.rows)
            if entry is None:
                entry = held[one.key] = [newest, self._aggregates.initial()]
            elif newest > entry[NEWEST]:
                entry[NEWEST] = newest
            try:
                self._aggregates.add_rows(entry[STATES], columns, one.rows)
            except StageFailure:
                self._undo(undo)
                raise
            self._store.touch(one.start, (one.key,))
        if self._every_ms is not None:
            self._pending.update({(one.start, one.key): None for one in groups})
            if self._pending and self._due_ms is None:
                self._due_ms = moment.now_ms + self._every_ms

    def _undo(self, undo: Sequence[tuple[_Rows, Any]]) -> None:
        for one, entry in undo:
            held = self._store.load(one.start, (one.key,))
            if entry is None:
                held.pop(one.key, None)
            else:
                held[one.key] = entry
            self._store.touch(one.start, (one.key,))

    def _add_each(self, batch: Batch, columns: list[list[Any]], starts: Sequence[Sequence[int]]) -> list[Emission]:
        """One result per record and window, as of that record. Raises: StageFailure with what was made before."""
        results: list[Result] = []
        for row, (mine, key, time) in enumerate(zip(starts, batch.keys, batch.timestamps, strict=True)):
            made = []
            for start in reversed(mine):
                held = self._store.load(start, (key,))
                entry = held.get(key)
                if entry is None:
                    entry = held[key] = [time, self._aggregates.initial()]
                try:
                    self._aggregates.add_row(entry[STATES], columns, row)
                except StageFailure as failure:
                    raise StageFailure(str(failure), row, applied=by_record(results)) from failure
                entry[NEWEST] = max(entry[NEWEST], time)
                self._store.touch(start, (key,))
                made.append(self._result(start, key, entry, row))
            results += made
        return by_record(results)

    def _result(self, start: int, key: Any, entry: Any, row: int = -1) -> Result:
        value = self._aggregates.window_result(key, start, start + self._size_ms, entry[STATES])
        return Result(key, value, entry[NEWEST], row)

    def on_watermark(self, watermark_ms: int) -> Iterator[Emission]:
        """Close what is final, oldest first."""
        final = sorted(start for start in self._store.groups() if self._final_at(start) <= watermark_ms)
        for start in final:
            held = self._store.load_all(start)
            if self._emit == "final":
                yield from by_time([self._result(start, key, entry) for key, entry in held.items()], start)
            elif self._every_ms is not None:
                due = [key for key in held if (start, key) in self._pending]
                yield from by_time([self._result(start, key, held[key]) for key in due], start)
                for key in due:
                    del self._pending[start, key]
            self._store.drop(start)
            self._closed_until_ms = max(self._final_at(start), self._closed_until_ms or self._final_at(start))

    def on_wall_clock(self, now_ms: int) -> Iterator[Emission]:
        if self._due_ms is None or now_ms < self._due_ms:
            return
        self._due_ms = None
        by_start: dict[int, list[Any]] = {}
        for start, key in self._pending:
            by_start.setdefault(start, []).append(key)
        self._pending.clear()
        for start, keys in sorted(by_start.items(), key=lambda one: one[0]):
            held = self._store.load(start, keys)
            yield from by_time([self._result(start, key, held[key]) for key in keys], start)

    def next_wall_clock_ms(self) -> int | None:
        return self._due_ms

    def closed_until_ms(self) -> int | None:
        return self._closed_until_ms


def _groups(starts: Sequence[Sequence[int]], keys: Sequence[Any]) -> list[_Rows]:
    """The rows of each window and key, in order of appearance."""
    groups: dict[tuple[int, Any], list[int]] = {}
    for row, (mine, key) in enumerate(zip(starts, keys, strict=True)):
        for start in mine:
            rows = groups.get((start, key))
            if rows is None:
                groups[start, key] = [row]
            else:
                rows.append(row)
    return [_Rows(start, key, rows) for (start, key), rows in groups.items()]
