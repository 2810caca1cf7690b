"""What stands between `window` and its `aggregate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.aggregates import Aggregate
from mainstem.pipeline.plan.building import Builder

if TYPE_CHECKING:
    from mainstem.pipeline.plan.pipeline import Pipeline

V = TypeVar("V")


class WindowedPipeline(Generic[V]):
    """Records grouped by key and window. It has one way on: `aggregate`."""

    __slots__ = ("_before", "_late", "_step")

    def __init__(
        self, before: Pipeline[V], step: steps.Window, late: Callable[[Pipeline[V]], Pipeline[Any]] | None
    ) -> None:
        self._before = before
        self._step = step
        self._late = late

    @property
    def name(self) -> str:
        return self._before.name

    def aggregate(self, **aggregates: Aggregate) -> Pipeline[dict[str, Any]]:
        """One dict per key and window: the key's fields, `window_start` and `window_end` (ms), and each
        aggregate.

        Its event time is that of the newest record in the window.
        """
        taken = (*self._step.key_fields, steps.WINDOW_START, steps.WINDOW_END)
        Builder(self.name).aggregates("aggregate", aggregates, taken)
        made = self._before._with(replace(self._step, aggregates=aggregates))
        if self._late is None:
            return made
        late = made._leaving_by(steps.LATE, f"{made._prefix}late-")
        side = self._late(late)
        return made._continued(made._entry, made._common("late", side))
