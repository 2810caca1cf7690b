"""Several aggregates side by side: their columns, their states, and the dict that comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.plan.aggregates import Aggregate, Count, Max, Min, Sum
from mainstem.pipeline.plan.fields import Selector, select

States = list[Any]
SHOWN_AS_THEY_ARE = frozenset({Count, Sum, Min, Max})
"""Aggregates whose result is their state."""


class Aggregates:
    """Of one step. A state of it is a list with one state per aggregate."""

    def __init__(self, aggregates: Mapping[str, Aggregate], key_fields: tuple[str, ...]) -> None:
        self._names = tuple(aggregates)
        self._aggregates = tuple(aggregates.values())
        self._key_fields = key_fields
        self.adders = tuple(_adder(aggregate) for aggregate in self._aggregates)
        self._takes_time = tuple(getattr(aggregate, "takes_time", False) for aggregate in self._aggregates)
        self._result_of = tuple(aggregate.result for aggregate in self._aggregates)

    def initial(self) -> States:
        return [aggregate.initial() for aggregate in self._aggregates]

    def columns(self, batch: Batch) -> list[list[Any]]:
        """One per aggregate, with what it adds of each record; None where it adds nothing. Raises: StageFailure."""
        found: dict[Selector | None, list[Any]] = {}
        columns = []
        for aggregate, takes_time in zip(self._aggregates, self._takes_time, strict=True):
            selector = aggregate.selector
            if selector not in found:
                found[selector] = [True] * len(batch) if selector is None else select(selector, batch.values)
            column = found[selector]
            if takes_time:
                column = [
                    None if value is None else (time, value)
                    for time, value in zip(batch.timestamps, column, strict=True)
                ]
            columns.append(column)
        return columns

    def add_row(self, states: States, columns: Sequence[Sequence[Any]], row: int) -> None:
        """Raises: StageFailure; the states are as they were then."""
        number = 0
        try:
            if len(states) == 1:
                value = columns[0][row]
                if value is not None:
                    states[0] = self.adders[0](states[0], value)
                return
            added = []
            for number, (add, column) in enumerate(zip(self.adders, columns, strict=True)):
                value = column[row]
                added.append(states[number] if value is None else add(states[number], value))
            states[:] = added
        except Exception as error:  # an aggregate may be a user's own, and values of types that do not add up
            raise StageFailure(f"{self._names[number]} of {_shown(columns[number][row])}: {error}", row) from error

    def add_values(self, states: States, values: Sequence[Any]) -> None:
        """What one record adds to each. Raises: whatever an aggregate raises."""
        for number, (add, value) in enumerate(zip(self.adders, values, strict=True)):
            if value is not None:
                states[number] = add(states[number], value)

    def merge(self, left: States, right: States) -> States:
        return [
            _merged(aggregate, one, other) for aggregate, one, other in zip(self._aggregates, left, right, strict=True)
        ]

    def result(self, key: Any, states: States) -> dict[str, Any]:
        fields = self._key_fields
        made = {fields[0]: key} if len(fields) == 1 else dict(zip(fields, key, strict=True))
        for name, result_of, state in zip(self._names, self._result_of, states, strict=True):
            made[name] = result_of(state)
        return made

    def running(self, keys: Sequence[Any], held: dict[Any, States], column: Sequence[Any], into: list[Any]) -> None:
        """Of a single aggregate: add each value to its key and put the result as of then into `into`. What was added before an
        error stays added, and `into` is as long as that. Raises: whatever the aggregate raises."""
        add, result_of, name, field = self.adders[0], self._result_of[0], self._names[0], self._key_fields[0]
        aggregate = self._aggregates[0]
        is_its_result = type(aggregate) in SHOWN_AS_THEY_ARE
        append = into.append
        for key, value in zip(keys, column, strict=True):
            states = held.get(key)
            if states is None:
                states = held[key] = [aggregate.initial()]
            state = states[0]
            if value is not None:
                state = states[0] = add(state, value)
            append({field: key, name: state if is_its_result else result_of(state)})

    @property
    def is_single(self) -> bool:
        """One aggregate over one key field: `running` can be used."""
        return len(self._aggregates) == 1 and len(self._key_fields) == 1

    def window_result(self, key: Any, start_ms: int, end_ms: int, states: States) -> dict[str, Any]:
        fields = self._key_fields
        made = {fields[0]: key} if len(fields) == 1 else dict(zip(fields, key, strict=True))
        made["window_start"] = start_ms
        made["window_end"] = end_ms
        for name, result_of, state in zip(self._names, self._result_of, states, strict=True):
            made[name] = result_of(state)
        return made


def _adder(aggregate: Aggregate) -> Callable[[Any, Any], Any]:
    own = getattr(aggregate, "add_one", None)
    return own if own is not None else lambda state, value: aggregate.add(state, [value])


def _merged(aggregate: Aggregate, left: Any, right: Any) -> Any:
    merge = getattr(aggregate, "merge", None)
    if merge is None:
        raise StageFailure(f"{aggregate!r} cannot bring two states together; session windows need its method merge")
    return merge(left, right)


def _shown(value: Any) -> str:
    return f"{value[1] if type(value) is tuple else value!r:.60}"


def check_keys(keys: Sequence[Any]) -> None:
    """Raises: StageFailure for the first key that no dict takes."""
    for row, key in enumerate(keys):
        try:
            hash(key)
        except TypeError as error:
            raise StageFailure(
                f"the key {key!r:.60} cannot be used ({error}); take text, numbers or tuples of them", row
            ) from None
