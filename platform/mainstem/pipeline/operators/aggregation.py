"""Aggregates of everything that a key ever had."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.aggregating import Aggregates, check_keys
from mainstem.pipeline.operators.quiet import Quiet
from mainstem.pipeline.operators.stateful import NEVER_MS, Emission, Moment, Stores
from mainstem.pipeline.plan.steps import Aggregation, Every
from mainstem.pipeline.state.store import Place

ALL_TIME, PENDING = 0, 1
RESULTS_PER_BATCH = 10_000


class AggregationOperator(Quiet):
    """`update`: one result per record, as of that record. `Every`: the latest of each key that has changed."""

    def __init__(self, step: Aggregation) -> None:
        self._aggregates = Aggregates(step.aggregates, step.key_fields)
        self._every_ms = step.emit.every_ms if isinstance(step.emit, Every) else None
        self._due_ms: int | None = None

    def open(self, stores: Stores) -> None:
        self._store = stores.own
        # What was changed and not told before a crash is told at once.
        is_pending = self._every_ms is not None and bool(self._store.load_all(PENDING))
        self._due_ms = 0 if is_pending else None

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        aggregates = self._aggregates
        columns = aggregates.columns(batch)
        keys = batch.keys
        try:
            touched = set(keys)
        except TypeError:
            check_keys(keys)
            raise
        held = self._store.load(ALL_TIME, touched)
        results: list[Any] = []
        self._store.touch(ALL_TIME, touched)
        row = 0
        try:
            if aggregates.is_single and self._every_ms is None:
                aggregates.running(keys, held, columns[0], results)
                row = len(keys)
            else:
                for row, key in enumerate(keys):
                    states = held.get(key)
                    if states is None:
                        states = held[key] = aggregates.initial()
                    aggregates.add_row(states, columns, row)
                    if self._every_ms is None:
                        results.append(aggregates.result(key, states))
        except Exception as error:  # an aggregate may be a user's own, and values of types that do not add up
            row = len(results) if self._every_ms is None else row
            told = error if isinstance(error, StageFailure) else self._told(error, columns[0][row], row)
            raise StageFailure(str(told), row, applied=self._emissions(batch, results, row, moment)) from error
        return self._emissions(batch, results, len(keys), moment)

    def _told(self, error: Exception, value: Any, row: int) -> StageFailure:
        return StageFailure(f"{value!r:.60} cannot be added: {error}", row)

    def _emissions(self, batch: Batch, results: list[Any], rows: int, moment: Moment) -> list[Emission]:
        if self._every_ms is not None:
            pending = self._store.load_all(PENDING)
            for key, time in zip(batch.keys[:rows], batch.timestamps[:rows], strict=True):
                pending[key] = max(time, pending.get(key, time))
            self._store.touch(PENDING, batch.keys[:rows])
            if pending and self._due_ms is None:
                self._due_ms = moment.now_ms + self._every_ms
            return []
        made = Batch(
            keys=batch.keys[:rows],
            values=results,
            timestamps=batch.timestamps[:rows],
            headers=None if batch.headers is None else batch.headers[:rows],
        )
        return [Emission(made, places=range(rows))]

    def on_wall_clock(self, now_ms: int) -> Iterable[Emission]:
        if self._due_ms is not None and now_ms >= self._due_ms:
            yield from self._tell_pending()

    def on_watermark(self, watermark_ms: int) -> Iterable[Emission]:
        if watermark_ms >= NEVER_MS and self._due_ms is not None:
            yield from self._tell_pending()

    def _tell_pending(self) -> Iterable[Emission]:
        self._due_ms = None
        changed = list(self._store.load_all(PENDING).items())
        self._store.drop(PENDING)
        for first in range(0, len(changed), RESULTS_PER_BATCH):
            part = changed[first : first + RESULTS_PER_BATCH]
            keys = [key for key, _ in part]
            held = self._store.load(ALL_TIME, keys)
            yield Emission(
                Batch(
                    keys=keys,
                    values=[self._aggregates.result(key, held[key]) for key in keys],
                    timestamps=[time for _, time in part],
                ),
                about="aggregates that are due",
            )

    def shown(self, place: Place, value: Any) -> Any:
        return self._aggregates.result(place.key, value) if place.group == ALL_TIME else value

    def next_wall_clock_ms(self) -> int | None:
        return self._due_ms
