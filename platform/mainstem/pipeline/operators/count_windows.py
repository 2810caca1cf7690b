"""Windows of a number of records of one key, in the order in which they come. Time closes none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.aggregating import Aggregates, check_keys
from mainstem.pipeline.operators.quiet import Quiet
from mainstem.pipeline.operators.stateful import NEVER_MS, Emission, Moment, Stores
from mainstem.pipeline.operators.window_results import Result, by_record, by_time
from mainstem.pipeline.plan.steps import Every, Window
from mainstem.pipeline.plan.windows import CountWindow
from mainstem.pipeline.state.store import Place

ALL_KEYS = 0
SEEN, WINDOWS = 0, 1
COUNT, OLDEST, NEWEST, STATES = 0, 1, 2, 3


class CountWindows(Quiet):
    """A key has `[records seen, open windows]`; a window `[records, oldest time, newest time, states]`.

    A result's `window_start` and `window_end` are the oldest and newest event time in it, and its own is the newest.
    """

    def __init__(self, step: Window, window: CountWindow) -> None:
        self._size, self._hop = window.size, window.hop
        self._aggregates = Aggregates(step.aggregates, step.key_fields)
        self._emit = step.emit
        self._every_ms = step.emit.every_ms if isinstance(step.emit, Every) else None
        self._pending: dict[Any, None] = {}
        self._due_ms: int | None = None

    def open(self, stores: Stores) -> None:
        self._store = stores.own
        self._pending = dict.fromkeys(self._store.load_all(ALL_KEYS)) if self._every_ms is not None else {}
        self._due_ms = 0 if self._pending else None

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        columns = self._aggregates.columns(batch)
        check_keys(batch.keys)
        results: list[Result] = []
        all_held = self._store.load(ALL_KEYS, set(batch.keys))
        for row, (key, time) in enumerate(zip(batch.keys, batch.timestamps, strict=True)):
            try:
                results += self._add(all_held, key, time, columns, row)
            except StageFailure as failure:
                raise StageFailure(str(failure), row, applied=by_record(results)) from failure
            self._store.touch(ALL_KEYS, (key,))
            if self._every_ms is not None:
                self._pending[key] = None
                if self._due_ms is None:
                    self._due_ms = moment.now_ms + self._every_ms
        return by_record(results)

    def _add(self, all_held: dict[Any, Any], key: Any, time: int, columns: list[list[Any]], row: int) -> list[Result]:
        """Raises: StageFailure with nothing changed."""
        seen, windows = all_held.get(key) or (0, [])
        windows = [[*one[:STATES], list(one[STATES])] for one in windows]
        if seen % self._hop == 0:
            windows.append([0, time, time, self._aggregates.initial()])
        for one in windows:
            self._aggregates.add_row(one[STATES], columns, row)
            one[COUNT] += 1
            one[OLDEST], one[NEWEST] = min(one[OLDEST], time), max(one[NEWEST], time)
        full = [one for one in windows if one[COUNT] == self._size]
        all_held[key] = [seen + 1, [one for one in windows if one[COUNT] < self._size]]
        told = windows if self._emit == "update" else full
        return [self._result(key, one, row) for one in told]

    def _result(self, key: Any, window: Any, row: int = -1) -> Result:
        value = self._aggregates.window_result(key, window[OLDEST], window[NEWEST], window[STATES])
        return Result(key, value, window[NEWEST], row)

    def on_wall_clock(self, now_ms: int) -> Iterator[Emission]:
        if self._due_ms is not None and now_ms >= self._due_ms:
            yield from self._tell_pending()

    def on_watermark(self, watermark_ms: int) -> Iterator[Emission]:
        if watermark_ms >= NEVER_MS and self._due_ms is not None:
            yield from self._tell_pending()

    def _tell_pending(self) -> Iterator[Emission]:
        self._due_ms = None
        keys = list(self._pending)
        self._pending.clear()
        all_held = self._store.load(ALL_KEYS, keys)
        for key in keys:
            told = [self._result(key, one) for one in all_held[key][WINDOWS]]
            if told:
                yield from by_time(told, told[0].value["window_start"])

    def shown(self, place: Place, value: Any) -> Any:
        return [self._result(place.key, one).value for one in value[WINDOWS]]

    def next_wall_clock_ms(self) -> int | None:
        return self._due_ms
