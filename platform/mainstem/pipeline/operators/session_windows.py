"""Session windows: records of a key that follow each other within the gap.

A late-comer between two sessions brings them together. A window's end is the last record's time plus the gap.
"""

from __future__ import annotations

from typing import Any

from mainstem.pipeline.operators.keyed_windows import Closed, KeyedWindows
from mainstem.pipeline.operators.window_results import Result
from mainstem.pipeline.plan.steps import Window
from mainstem.pipeline.plan.windows import Session

FIRST, LAST, STATES = 0, 1, 2


class SessionWindows(KeyedWindows):
    def __init__(self, step: Window, window: Session) -> None:
        super().__init__(step)
        self._gap_ms = window.gap_ms

    @property
    def delay_ms(self) -> int:
        return self._gap_ms + self._grace_ms

    def _due_at(self, window: Any) -> int:
        last: int = window[LAST]
        return last + self._gap_ms + self._grace_ms

    def _add(
        self, held: list[Any], key: Any, time: int, columns: list[list[Any]], row: int, watermark_ms: int
    ) -> list[Result] | None:
        gap = self._gap_ms
        # What is final by now may still be here, because the watermark is acted on behind a batch; it takes nothing more.
        still_open = [one for one in held if self._due_at(one) > watermark_ms]
        near = [one for one in still_open if one[FIRST] - gap < time < one[LAST] + gap]
        made: list[Any] = [time, time, self._aggregates.initial()]
        for one in near:
            made = [min(made[FIRST], one[FIRST]), max(made[LAST], one[LAST]), made[STATES]]
        if self._due_at(made) <= watermark_ms:
            return None
        states: list[Any] = near[0][STATES] if near else made[STATES]
        for one in near[1:]:
            states = self._aggregates.merge(states, one[STATES])
        states = list(states)
        self._aggregates.add_row(states, columns, row)
        made[STATES] = states
        held[:] = sorted([one for one in held if one not in near] + [made], key=lambda one: one[FIRST])
        self._due.add(self._due_at(made), key)
        return [self._result(key, made, row)]

    def _result(self, key: Any, window: Any, row: int = -1) -> Result:
        first, last, states = window
        value = self._aggregates.window_result(key, first, last + self._gap_ms, states)
        return Result(key, value, last, row)

    def _results(self, key: Any, held: list[Any]) -> list[Result]:
        return [self._result(key, window) for window in held]

    def _close(self, key: Any, held: list[Any], watermark_ms: int) -> list[Closed]:
        final = [one for one in held if self._due_at(one) <= watermark_ms]
        held[:] = [one for one in held if self._due_at(one) > watermark_ms]
        return [Closed(self._due_at(one), self._result(key, one)) for one in final]
