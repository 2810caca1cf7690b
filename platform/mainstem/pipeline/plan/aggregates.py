"""What is computed over a window, or over all that a key ever had: named aggregates over a field or a function of the value.

A value of None is left out, as in SQL; an aggregate over nothing is None, a count is 0. States are plain values that
MessagePack can keep; a tuple in one comes back as a list.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mainstem.pipeline.plan.fields import Selector

COLLECT_MAX = 10_000


class Aggregate(Protocol):
    """One number (or value) per key and window. States are made by `initial` and handed back by `add`.

    What an aggregate of your own needs is here; `add_one` (faster than `add` for one value), `merge` (of two states, for
    session windows) and `takes_time = True` (then values are pairs of event time and value) may be there too.
    """

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

    def add_one(self, state: int, value: Any) -> int:
        return state + 1

    def merge(self, left: int, right: int) -> int:
        return left + right

    def result(self, state: int) -> int:
        return state


@dataclass(frozen=True, slots=True)
class Sum:
    selector: Selector

    def initial(self) -> Any:
        return None

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        return sum(values) if state is None else sum(values, state)

    def add_one(self, state: Any, value: Any) -> Any:
        return value if state is None else state + value

    def merge(self, left: Any, right: Any) -> Any:
        return right if left is None else left if right is None else left + right

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

    def add_one(self, state: Any, value: Any) -> Any:
        total, count = state
        return total + value, count + 1

    def merge(self, left: Any, right: Any) -> Any:
        return left[0] + right[0], left[1] + right[1]

    def result(self, state: Any) -> float | None:
        total, count = state
        return total / count if count else None


@dataclass(frozen=True, slots=True)
class Min:
    selector: Selector

    def initial(self) -> Any:
        return None

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        return self.add_one(state, min(values))

    def add_one(self, state: Any, value: Any) -> Any:
        return value if state is None or value < state else state

    def merge(self, left: Any, right: Any) -> Any:
        return left if right is None else self.add_one(left, right)

    def result(self, state: Any) -> Any:
        return state


@dataclass(frozen=True, slots=True)
class Max:
    selector: Selector

    def initial(self) -> Any:
        return None

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        return self.add_one(state, max(values))

    def add_one(self, state: Any, value: Any) -> Any:
        return value if state is None or value > state else state

    def merge(self, left: Any, right: Any) -> Any:
        return left if right is None else self.add_one(left, right)

    def result(self, state: Any) -> Any:
        return state


@dataclass(frozen=True, slots=True)
class First:
    """The value with the least event time; of equal ones that which came first."""

    selector: Selector
    takes_time = True

    def initial(self) -> Any:
        return None

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        return self.add_one(state, min(values, key=_time_of))

    def add_one(self, state: Any, value: Any) -> Any:
        return value if state is None or value[0] < state[0] else state

    def merge(self, left: Any, right: Any) -> Any:
        return left if right is None else self.add_one(left, right)

    def result(self, state: Any) -> Any:
        return None if state is None else state[1]


@dataclass(frozen=True, slots=True)
class Last:
    """The value with the largest event time; of equal ones that which came last."""

    selector: Selector
    takes_time = True

    def initial(self) -> Any:
        return None

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        for value in values:
            state = self.add_one(state, value)
        return state

    def add_one(self, state: Any, value: Any) -> Any:
        return value if state is None or value[0] >= state[0] else state

    def merge(self, left: Any, right: Any) -> Any:
        return left if right is None else self.add_one(left, right)

    def result(self, state: Any) -> Any:
        return None if state is None else state[1]


@dataclass(frozen=True, slots=True)
class Collect:
    """All values in the order in which they came, at most `limit` of them: those that come later are left out."""

    selector: Selector
    limit: int = COLLECT_MAX

    def __post_init__(self) -> None:
        _check_count("Collect", "limit", self.limit)

    def initial(self) -> list[Any]:
        return []

    def add(self, state: list[Any], values: Sequence[Any]) -> list[Any]:
        state.extend(values[: self.limit - len(state)])
        return state

    def add_one(self, state: list[Any], value: Any) -> list[Any]:
        if len(state) < self.limit:
            state.append(value)
        return state

    def merge(self, left: list[Any], right: list[Any]) -> list[Any]:
        return [*left, *right][: self.limit]

    def result(self, state: list[Any]) -> list[Any]:
        return list(state)


@dataclass(frozen=True, slots=True)
class TopK:
    """The `k` largest values, the largest first."""

    selector: Selector
    k: int

    def __post_init__(self) -> None:
        _check_count("TopK", "k", self.k)

    def initial(self) -> list[Any]:
        return []

    def add(self, state: list[Any], values: Sequence[Any]) -> list[Any]:
        return heapq.nlargest(self.k, [*state, *values])

    def add_one(self, state: list[Any], value: Any) -> list[Any]:
        if len(state) == self.k and not value > state[-1]:
            return state
        return self.add(state, [value])

    def merge(self, left: list[Any], right: list[Any]) -> list[Any]:
        return self.add(left, right)

    def result(self, state: list[Any]) -> list[Any]:
        return list(state)


@dataclass(frozen=True, slots=True)
class CountDistinct:
    """How many different values, exactly; each of them is kept."""

    selector: Selector

    def initial(self) -> dict[Any, bool]:
        return {}

    def add(self, state: dict[Any, bool], values: Sequence[Any]) -> dict[Any, bool]:
        state.update(dict.fromkeys(values, True))
        return state

    def add_one(self, state: dict[Any, bool], value: Any) -> dict[Any, bool]:
        state[value] = True
        return state

    def merge(self, left: dict[Any, bool], right: dict[Any, bool]) -> dict[Any, bool]:
        return {**left, **right}

    def result(self, state: dict[Any, bool]) -> int:
        return len(state)


@dataclass(frozen=True, slots=True)
class Reduce:
    """`function(so far, value)` over all values, beginning with the first one, or with what `initial` is.

    For session windows `function` must also bring two of its own results together.
    """

    selector: Selector | None
    function: Callable[[Any, Any], Any]
    start: Any = None

    def initial(self) -> Any:
        return self.start

    def add(self, state: Any, values: Sequence[Any]) -> Any:
        for value in values:
            state = self.add_one(state, value)
        return state

    def add_one(self, state: Any, value: Any) -> Any:
        return value if state is None else self.function(state, value)

    def merge(self, left: Any, right: Any) -> Any:
        return right if left is None else left if right is None else self.function(left, right)

    def result(self, state: Any) -> Any:
        return state


def _time_of(pair: Any) -> int:
    time: int = pair[0]
    return time


def _check_count(aggregate: str, setting: str, count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"{aggregate}: {setting}={count!r} is not a number above 0")
