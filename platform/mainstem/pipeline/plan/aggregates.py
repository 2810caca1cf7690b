"""What is computed over a window: named aggregates over a field or a function of the value.

A value of None is left out, as in SQL; an aggregate over nothing is None, a count is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mainstem.pipeline.plan.fields import Selector


class Aggregate(Protocol):
    """One number (or value) per key and window. States are made by `initial` and handed back by `add`."""

    @property
    def selector(self) -> Selector | None:
        """Which field; None: every record counts, whatever its value, and `add` gets True for each."""

    def initial(self) -> Any: ...

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        """The state with more values, of which none is None and there is at least one."""

    def result(self, state: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Count:
    """How many records, or how many whose field is not None."""

    selector: Selector | None = None

    def initial(self) -> int:
        return 0

    def add(self, state: int, values: Sequence[Any]) -> int:
        return state + len(values)

    def result(self, state: int) -> int:
        return state


@dataclass(frozen=True, slots=True)
class Sum:
    selector: Selector

    def initial(self) -> Any:
        return None

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        return sum(values) if state is None else sum(values, state)

    def result(self, state: Any) -> Any:
        return state


@dataclass(frozen=True, slots=True)
class Mean:
    """The arithmetic mean: the sum, exact for integers, divided by the count."""

    selector: Selector

    def initial(self) -> Any:
        return (0, 0)

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        total, count = state
        return sum(values, total), count + len(values)

    def result(self, state: Any) -> float | None:
        total, count = state
        return total / count if count else None


@dataclass(frozen=True, slots=True)
class Min:
    selector: Selector

    def initial(self) -> Any:
        return None

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        least = min(values)
        return least if state is None or least < state else state

    def result(self, state: Any) -> Any:
        return state


@dataclass(frozen=True, slots=True)
class Max:
    selector: Selector

    def initial(self) -> Any:
        return None

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        greatest = max(values)
        return greatest if state is None or greatest > state else state

    def result(self, state: Any) -> Any:
        return state
