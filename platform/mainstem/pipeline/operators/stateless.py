"""Steps that look at one record, or one batch, at a time: a batch in, a batch out, columns shared wherever nothing changed.

A step that calls a function per record is cut in two, so that a record that fails can be settled by the stage's policy
and the others go on: `function` per record, and `assemble(batch, results)` of all.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import chain, compress
from typing import Any, Protocol

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.fields import select


class Notes(Protocol):
    """Where records came from; `engine.provenance` keeps it."""

    def filtered(self, mask: Sequence[Any]) -> None: ...

    def expanded(self, counts: Sequence[int]) -> None: ...

    def replaced(self) -> None: ...


class PerRecord(Protocol):
    @property
    def function(self) -> Callable[[Any], Any]: ...

    def assemble(self, batch: Batch, results: list[Any], notes: Notes) -> Batch:
        """`results` has one for each record of the batch."""


class MapValues:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def assemble(self, batch: Batch, results: list[Any], notes: Notes) -> Batch:
        return Batch(keys=batch.keys, values=results, timestamps=batch.timestamps, headers=batch.headers)


class FilterValues:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def assemble(self, batch: Batch, results: list[Any], notes: Notes) -> Batch:
        return keep(batch, results, notes)


class FlatMapValues:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        # Generators run here and not later, so that what they raise is known to belong to this record.
        self.function = lambda value: list(function(value))

    def assemble(self, batch: Batch, results: list[Any], notes: Notes) -> Batch:
        counts = [len(part) for part in results]
        notes.expanded(counts)

        def repeated(column: list[Any]) -> list[Any]:
            return [item for item, count in zip(column, counts, strict=True) for _ in range(count)]

        return Batch(
            keys=repeated(batch.keys),
            values=list(chain.from_iterable(results)),
            timestamps=repeated(batch.timestamps),
            headers=None if batch.headers is None else repeated(batch.headers),
        )


class KeyValues:
    def __init__(self, step: steps.KeyBy) -> None:
        self.function = step.function or _by_fields(step.fields)

    def assemble(self, batch: Batch, results: list[Any], notes: Notes) -> Batch:
        return Batch(keys=results, values=batch.values, timestamps=batch.timestamps, headers=batch.headers)


def _by_fields(fields: tuple[str, ...]) -> Callable[[Any], Any]:
    if len(fields) == 1:
        field = fields[0]
        return lambda value: select(field, [value])[0]
    return lambda value: tuple(select(field, [value])[0] for field in fields)


def key_columns(step: steps.KeyBy, values: Sequence[Any]) -> list[Any]:
    """All keys at once, for fields. Raises: StageFailure."""
    if len(step.fields) == 1:
        return select(step.fields[0], values)
    return list(zip(*(select(field, values) for field in step.fields), strict=True))


def open_per_record(step: steps.Map | steps.Filter | steps.FlatMap | steps.KeyBy) -> PerRecord:
    match step:
        case steps.Map():
            return MapValues(step.function)
        case steps.Filter():
            return FilterValues(step.function)
        case steps.FlatMap():
            return FlatMapValues(step.function)
        case steps.KeyBy():
            return KeyValues(step)


def keep(batch: Batch, mask: Sequence[Any], notes: Notes) -> Batch:
    """The records whose mark is true."""
    if all(mask):
        return batch
    notes.filtered(mask)
    return Batch(
        keys=list(compress(batch.keys, mask)),
        values=list(compress(batch.values, mask)),
        timestamps=list(compress(batch.timestamps, mask)),
        headers=None if batch.headers is None else list(compress(batch.headers, mask)),
    )


def pick(batch: Batch, places: Sequence[int]) -> Batch:
    """The records at these places, in this order."""
    return Batch(
        keys=[batch.keys[place] for place in places],
        values=[batch.values[place] for place in places],
        timestamps=[batch.timestamps[place] for place in places],
        headers=None if batch.headers is None else [batch.headers[place] for place in places],
    )


def slice_of(batch: Batch, start: int, end: int | None = None) -> Batch:
    return Batch(
        keys=batch.keys[start:end],
        values=batch.values[start:end],
        timestamps=batch.timestamps[start:end],
        headers=None if batch.headers is None else batch.headers[start:end],
    )


async def map_batches(function: Callable[[Any], Any], batch: Batch, notes: Notes) -> Batch:
    """Raises: StageFailure."""
    try:
        result = function(batch)
        if inspect.isawaitable(result):
            result = await result
    except Exception as error:  # a user's function may raise anything; the engine stops with the place
        raise StageFailure(error) from error
    notes.replaced()
    if not isinstance(result, Batch):
        raise StageFailure(f"the function returned {type(result).__name__}, not a Batch")
    lengths = [len(result.keys), len(result.values), len(result.timestamps)]
    lengths += [] if result.headers is None else [len(result.headers)]
    if len(set(lengths)) > 1:
        raise StageFailure(f"the columns of the returned batch have different lengths: {lengths}")
    return result
