"""What windows have in common whose bounds depend on the records of a key: sliding and session windows.

The store has one entry per key, a list of windows in order of time. A heap says when the next of a key is final.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.aggregating import Aggregates, check_keys
from mainstem.pipeline.operators.due_times import DueTimes
from mainstem.pipeline.operators.stateful import Emission, Moment, Stores
from mainstem.pipeline.operators.window_results import Result, by_record, by_time, late
from mainstem.pipeline.plan.steps import WINDOW_START, Every, Window
from mainstem.pipeline.state.store import Place

ALL_KEYS = 0
Columns = list[list[Any]]


class Closed(NamedTuple):
    final_at_ms: int
    result: Result


class KeyedWindows(ABC):
    """Subclasses say how a record changes the windows of its key, and which of them are final."""

    def __init__(self, step: Window) -> None:
        self._grace_ms = step.grace_ms
        self._aggregates = Aggregates(step.aggregates, step.key_fields)
        self._emit = step.emit
        self._every_ms = step.emit.every_ms if isinstance(step.emit, Every) else None
        self._due = DueTimes()
        self._pending: dict[Any, None] = {}
        self._due_ms: int | None = None
        self._closed_until_ms: int | None = None

    # For subclasses.

    @abstractmethod
    def _add(
        self, held: list[Any], key: Any, time: int, columns: list[list[Any]], row: int, watermark_ms: int
    ) -> list[Result] | None:
        """Take a record in; returns the windows that it changed as results, None if it is late. Raises: StageFailure
        with nothing changed."""

    @abstractmethod
    def _due_at(self, window: Any) -> int:
        """The watermark at which `_close` has something to do with a window."""

    @abstractmethod
    def _results(self, key: Any, held: list[Any]) -> list[Result]:
        """Of all windows of a key that are open."""

    @abstractmethod
    def _close(self, key: Any, held: list[Any], watermark_ms: int) -> list[Closed]:
        """Take out of a key's list what is final, and what is needed no more; returns what is final, oldest first."""

    # Records.

    def open(self, stores: Stores) -> None:
        self._store = stores.own
        self._due.clear()
        self._pending.clear()
        for key, held in self._store.load_all(ALL_KEYS).items():
            for window in held:
                self._due.add(self._due_at(window), key)
            if self._every_ms is not None:
                self._pending[key] = None
        self._due_ms = 0 if self._pending else None

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        columns = self._aggregates.columns(batch)
        check_keys(batch.keys)
        before = moment.before_each()
        results: list[Result] = []
        late_rows: list[int] = []
        all_held = self._store.load(ALL_KEYS, set(batch.keys))
        for row, (key, time) in enumerate(zip(batch.keys, batch.timestamps, strict=True)):
            held = all_held.get(key)
            if held is None:
                held = []
            try:
                changed = self._add(held, key, time, columns, row, before[row])
            except StageFailure as failure:
                made = [*by_record(results), *late(batch, late_rows)]
                raise StageFailure(str(failure), row, applied=made) from failure
            if changed is None:
                late_rows.append(row)
                continue
            all_held[key] = held
            self._store.touch(ALL_KEYS, (key,))
            if self._emit == "update":
                results += changed
            elif self._every_ms is not None:
                self._pending[key] = None
                if self._due_ms is None:
                    self._due_ms = moment.now_ms + self._every_ms
        return [*by_record(results), *late(batch, late_rows)]

    # Time.

    def on_watermark(self, watermark_ms: int) -> Iterator[Emission]:
        ready: list[Closed] = []
        for due in self._due.take(watermark_ms):
            all_held = self._store.load(ALL_KEYS, (due.key,))
            held = all_held.get(due.key)
            if held is None:
                continue
            ready += self._close(due.key, held, watermark_ms)
            if not held:
                del all_held[due.key]
            self._store.touch(ALL_KEYS, (due.key,))
        ready.sort(key=lambda one: one.final_at_ms)
        if ready:
            self._closed_until_ms = max(ready[-1].final_at_ms, self._closed_until_ms or ready[-1].final_at_ms)
        for one in ready:
            if self._emit == "final" or (self._every_ms is not None and one.result.key in self._pending):
                yield from by_time([one.result], one.result.value[WINDOW_START])

    def on_wall_clock(self, now_ms: int) -> Iterator[Emission]:
        if self._due_ms is None or now_ms < self._due_ms:
            return
        self._due_ms = None
        keys = list(self._pending)
        self._pending.clear()
        all_held = self._store.load(ALL_KEYS, keys)
        for key in keys:
            told = self._results(key, all_held[key]) if key in all_held else []
            if told:
                yield from by_time(told, told[0].value[WINDOW_START])

    def shown(self, place: Place, value: Any) -> Any:
        return [result.value for result in self._results(place.key, value)]

    def next_wall_clock_ms(self) -> int | None:
        return self._due_ms

    def closed_until_ms(self) -> int | None:
        return self._closed_until_ms
