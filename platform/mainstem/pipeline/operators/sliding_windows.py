"""Sliding windows: for each record what its key had in the time of the size up to it, both ends counted.

A key's list holds `[time, what each aggregate adds, is open]` in order of time. A record's window is open as long as a record
that belongs to it can come; the record itself is kept as long as the window of another one can need it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.keyed_windows import Closed, KeyedWindows
from mainstem.pipeline.operators.window_results import Result
from mainstem.pipeline.plan.steps import Window
from mainstem.pipeline.plan.windows import Sliding

TIME, ADDS, IS_OPEN = 0, 1, 2


class SlidingWindows(KeyedWindows):
    def __init__(self, step: Window, window: Sliding) -> None:
        super().__init__(step)
        self._size_ms = window.size_ms

    @property
    def delay_ms(self) -> int:
        return self._grace_ms + 1

    def _final_at(self, time: int) -> int:
        return time + 1 + self._grace_ms

    def _due_at(self, window: Any) -> int:
        return self._final_at(window[TIME]) + (0 if window[IS_OPEN] else self._size_ms)

    def _add(
        self, held: list[Any], key: Any, time: int, columns: list[list[Any]], row: int, watermark_ms: int
    ) -> list[Result] | None:
        if self._final_at(time) <= watermark_ms:
            return None
        made = [time, [column[row] for column in columns], True]
        place = bisect_right(held, time, key=_time_of)
        held.insert(place, made)
        first = bisect_left(held, time, key=_time_of)
        end = bisect_right(held, time + self._size_ms, key=_time_of)
        try:
            # Those of the same time share one window: it is told once.
            changed = [self._computed(key, held, one, row) for one in _one_of_each_time(held[first:end])]
        except Exception as error:  # an aggregate may be a user's own, and values of types that do not add up
            del held[place]
            raise StageFailure(f"the record cannot be added: {error}", row) from error
        self._due.add(self._due_at(made), key)
        return changed

    def _computed(self, key: Any, held: list[Any], window: Any, row: int = -1) -> Result:
        time = window[TIME]
        first = bisect_left(held, time - self._size_ms, key=_time_of)
        end = bisect_right(held, time, key=_time_of)
        states = self._aggregates.initial()
        for one in held[first:end]:
            self._aggregates.add_values(states, one[ADDS])
        value = self._aggregates.window_result(key, time - self._size_ms, time, states)
        return Result(key, value, time, row)

    def _results(self, key: Any, held: list[Any]) -> list[Result]:
        return [self._computed(key, held, one) for one in _one_of_each_time(held)]

    def _close(self, key: Any, held: list[Any], watermark_ms: int) -> list[Closed]:
        final = [one for one in held if one[IS_OPEN] and self._final_at(one[TIME]) <= watermark_ms]
        closed = [Closed(self._final_at(one[TIME]), self._computed(key, held, one)) for one in _one_of_each_time(final)]
        for one in final:
            one[IS_OPEN] = False
            self._due.add(self._due_at(one), key)
        held[:] = [one for one in held if one[IS_OPEN] or self._due_at(one) > watermark_ms]
        return closed


def _time_of(entry: Any) -> int:
    time: int = entry[TIME]
    return time


def _one_of_each_time(entries: list[Any]) -> list[Any]:
    """Of those whose windows are open; the list is in order of time."""
    return list({one[TIME]: one for one in entries if one[IS_OPEN]}.values())
