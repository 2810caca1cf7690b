"""Tumbling and hopping windows: their bounds are known from a record's time alone.

The store has a group for each window, by its start; in it, per key, the newest event time and the states of the aggregates.
Closing a window touches nothing but its own group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.aggregating import Aggregates, check_keys
from mainstem.pipeline.operators.stateful import Emission, Moment, Stores
from mainstem.pipeline.operators.window_results import Result, by_record, by_time, late
from mainstem.pipeline.plan.steps import Every, Window
from mainstem.pipeline.plan.windows import Hopping, Tumbling
from mainstem.pipeline.state.store import Place

NEWEST, STATES = 0, 1


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
        if isinstance(self._window, Tumbling) and self._emit != "update":
            starts = self._window.starts(batch.timestamps)
            if not starts or self._final_at(min(starts)) > moment.reach_ms:
                return self._add_run(batch, columns, starts, moment)
        several = self._starts(batch.timestamps)
        least = min((one[-1] for one in several if one), default=0)
        late_rows: Sequence[int] = ()
        if self._final_at(least) <= moment.reach_ms:
            late_rows = self._drop_closed(several, moment.before_each())
        return self._add_each(batch, columns, several, moment, late_rows)

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

    def _add_run(
        self, batch: Batch, columns: list[list[Any]], starts: Sequence[int], moment: Moment
    ) -> Sequence[Emission]:
        """The common case: one window per record, none of them late, nothing to tell yet. Raises: StageFailure."""
        aggregates = self._aggregates
        add_row, initial = aggregates.add_row, aggregates.initial
        keys = set(batch.keys)
        groups: dict[int, dict[Any, Any]] = {}
        touched: dict[int, set[Any]] = {}
        row = 0
        try:
            for row, (start, key, time) in enumerate(zip(starts, batch.keys, batch.timestamps, strict=True)):
                held = groups.get(start)
                if held is None:
                    held = groups[start] = self._store.load(start, keys)
                    touched[start] = set()
                entry = held.get(key)
                if entry is None:
                    entry = [time, initial()]
                    add_row(entry[STATES], columns, row)
                    held[key] = entry
                else:
                    add_row(entry[STATES], columns, row)
                    if time > entry[NEWEST]:
                        entry[NEWEST] = time
                touched[start].add(key)
        except StageFailure as failure:
            self._touch(touched, moment)
            raise StageFailure(str(failure), row, applied=()) from failure
        self._touch(touched, moment)
        return ()

    def _touch(self, touched: Mapping[int, set[Any]], moment: Moment) -> None:
        for start, keys in touched.items():
            self._store.touch(start, keys)
        if self._every_ms is not None:
            self._pending.update({(start, key): None for start, keys in touched.items() for key in keys})
            if self._pending and self._due_ms is None:
                self._due_ms = moment.now_ms + self._every_ms

    def _add_each(
        self,
        batch: Batch,
        columns: list[list[Any]],
        starts: Sequence[Sequence[int]],
        moment: Moment,
        late_rows: Sequence[int],
    ) -> list[Emission]:
        """With `update` one result per record and window, as of that record. Raises: StageFailure with what was made before."""
        results: list[Result] = []
        touched: dict[int, set[Any]] = {}
        tells = self._emit == "update"
        for row, (mine, key, time) in enumerate(zip(starts, batch.keys, batch.timestamps, strict=True)):
            made = []
            for start in reversed(mine):
                held = self._store.load(start, (key,))
                entry = held.get(key) or [time, self._aggregates.initial()]
                try:
                    self._aggregates.add_row(entry[STATES], columns, row)
                except StageFailure as failure:
                    self._touch(touched, moment)
                    applied = [*by_record(results), *late(batch, [one for one in late_rows if one < row])]
                    raise StageFailure(str(failure), row, applied=applied) from failure
                held[key] = entry
                entry[NEWEST] = max(entry[NEWEST], time)
                touched.setdefault(start, set()).add(key)
                if tells:
                    made.append(self._result(start, key, entry, row))
            results += made
        self._touch(touched, moment)
        return [*by_record(results), *late(batch, late_rows)]

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

    def shown(self, place: Place, value: Any) -> Any:
        return self._result(place.group, place.key, value).value

    def next_wall_clock_ms(self) -> int | None:
        return self._due_ms

    def closed_until_ms(self) -> int | None:
        return self._closed_until_ms
