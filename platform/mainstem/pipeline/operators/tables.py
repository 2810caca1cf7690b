"""Tables, and what is looked up in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.aggregating import check_keys
from mainstem.pipeline.operators.quiet import Quiet
from mainstem.pipeline.operators.stateful import Emission, Moment, Stores
from mainstem.pipeline.operators.stateless import pick
from mainstem.pipeline.plan.steps import LEFT, RIGHT, TableJoin, TableTableJoin, ToTable

TABLE = 0


class TableOperator(Quiet):
    """Group 0 of the store: the latest value of each key. Passes on what changes."""

    def __init__(self, step: ToTable) -> None:
        self._name = step.name

    def open(self, stores: Stores) -> None:
        self._store = stores.own

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        """One record at a time goes on, so that a join behind sees the table as it was at that record."""
        check_keys(batch.keys)
        held = self._store.load(TABLE, set(batch.keys))
        for row, key in enumerate(batch.keys):
            if key is None:
                raise StageFailure(f"{self._name}: a record without key has no place in a table", row)
        self._store.touch(TABLE, set(batch.keys))
        for key, value in zip(batch.keys, batch.values, strict=True):
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value
        return [Emission(batch, places=range(len(batch)))]


class TableJoinOperator(Quiet):
    """Records of the stream with what the table has for their key now."""

    def __init__(self, step: TableJoin) -> None:
        self._table = step.table
        self._function = step.function
        self._keeps_all = step.kind == "left"

    def open(self, stores: Stores) -> None:
        self._store = stores.of_table(self._table)

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        if port == RIGHT:
            return []
        check_keys(batch.keys)
        held = self._store.load(TABLE, set(batch.keys))
        function = self._function
        results: list[Any] = []
        rows: list[int] = []
        for row, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
            found = held.get(key)
            if found is None and not self._keeps_all:
                continue
            try:
                results.append(function(value, found))
            except Exception as error:  # a user's function may raise anything
                raise StageFailure(error, row, applied=_emissions(batch, rows, results)) from error
            rows.append(row)
        return _emissions(batch, rows, results)


class TableTableJoinOperator(Quiet):
    """A change of either table gives the change of the joined one: its new value, or None where it has none any more."""

    def __init__(self, step: TableTableJoin) -> None:
        self._left, self._right = step.left_table, step.right_table
        self._function: Callable[[Any, Any], Any] = step.function
        self._needs_left = step.kind in ("inner", "left")
        self._needs_right = step.kind == "inner"

    def open(self, stores: Stores) -> None:
        self._stores = {LEFT: stores.of_table(self._left), RIGHT: stores.of_table(self._right)}
        self._told = stores.own

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        keys = set(batch.keys)
        others = self._stores[RIGHT if port == LEFT else LEFT].load(TABLE, keys)
        told = self._told.load(TABLE, keys)
        results: list[Any] = []
        rows: list[int] = []
        for row, (key, mine) in enumerate(zip(batch.keys, batch.values, strict=True)):
            other = others.get(key)
            left, right = (mine, other) if port == LEFT else (other, mine)
            try:
                result = self._joined(left, right)
            except Exception as error:  # a user's function may raise anything
                raise StageFailure(error, row, applied=_emissions(batch, rows, results)) from error
            if result is None and key not in told:
                continue
            if result is None:
                told.pop(key)
            else:
                told[key] = True
            self._told.touch(TABLE, (key,))
            results.append(result)
            rows.append(row)
        return _emissions(batch, rows, results)

    def _joined(self, left: Any, right: Any) -> Any:
        if (
            (left is None and right is None)
            or (left is None and self._needs_left)
            or (right is None and self._needs_right)
        ):
            return None
        return self._function(left, right)


def _emissions(batch: Batch, rows: list[int], results: list[Any]) -> list[Emission]:
    if not rows:
        return []
    made = pick(batch, rows)
    made.values = results
    return [Emission(made, places=rows)]
