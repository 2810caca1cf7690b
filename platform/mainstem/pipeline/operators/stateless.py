"""The stages between source and sink at work: a batch in, a batch out, columns shared wherever nothing
changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import chain, compress
from typing import Any, Protocol

from mainstem.api.batch import Batch
from mainstem.pipeline.engine.provenance import Origin
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.fields import call_each, select


class Operator(Protocol):
    async def apply(self, batch: Batch, origin: Origin) -> Batch:
        """Raises: StageFailure."""


class MapOperator:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    async def apply(self, batch: Batch, origin: Origin) -> Batch:
        values = call_each(self._function, batch.values)
        return Batch(keys=batch.keys, values=values, timestamps=batch.timestamps, headers=batch.headers)


class FilterOperator:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    async def apply(self, batch: Batch, origin: Origin) -> Batch:
        mask = call_each(self._function, batch.values)
        if all(mask):
            return batch
        origin.filtered(mask)
        return Batch(
            keys=list(compress(batch.keys, mask)),
            values=list(compress(batch.values, mask)),
            timestamps=list(compress(batch.timestamps, mask)),
            headers=None if batch.headers is None else list(compress(batch.headers, mask)),
        )


class FlatMapOperator:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        # Generators run here and not later, so that what they raise is known to belong to this record.
        self._function = lambda value: list(function(value))

    async def apply(self, batch: Batch, origin: Origin) -> Batch:
        parts: list[list[Any]] = call_each(self._function, batch.values)
        counts = [len(part) for part in parts]
        origin.expanded(counts)

        def repeated(column: list[Any]) -> list[Any]:
            return [item for item, count in zip(column, counts, strict=True) for _ in range(count)]

        return Batch(
            keys=repeated(batch.keys),
            values=list(chain.from_iterable(parts)),
            timestamps=repeated(batch.timestamps),
            headers=None if batch.headers is None else repeated(batch.headers),
        )


class MapBatchesOperator:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    async def apply(self, batch: Batch, origin: Origin) -> Batch:
        try:
            result = self._function(batch)
            if inspect.isawaitable(result):
                result = await result
        except Exception as error:  # a user's function may raise anything; the engine stops with the place
            raise StageFailure(error) from error
        origin.replaced()
        if not isinstance(result, Batch):
            raise StageFailure(f"the function returned {type(result).__name__}, not a Batch")
        lengths = [len(result.keys), len(result.values), len(result.timestamps)]
        lengths += [] if result.headers is None else [len(result.headers)]
        if len(set(lengths)) > 1:
            raise StageFailure(f"the columns of the returned batch have different lengths: {lengths}")
        return result


class KeyByOperator:
    def __init__(self, step: steps.KeyBy) -> None:
        self._step = step

    async def apply(self, batch: Batch, origin: Origin) -> Batch:
        step = self._step
        if step.function is not None:
            keys = select(step.function, batch.values)
        elif len(step.fields) == 1:
            keys = select(step.fields[0], batch.values)
        else:
            keys = list(zip(*(select(field, batch.values) for field in step.fields), strict=True))
        return Batch(keys=keys, values=batch.values, timestamps=batch.timestamps, headers=batch.headers)


def open_operator(
    step: steps.Map | steps.Filter | steps.FlatMap | steps.MapBatches | steps.KeyBy,
) -> Operator:
    match step:
        case steps.Map():
            return MapOperator(step.function)
        case steps.Filter():
            return FilterOperator(step.function)
        case steps.FlatMap():
            return FlatMapOperator(step.function)
        case steps.MapBatches():
            return MapBatchesOperator(step.function)
        case steps.KeyBy():
            return KeyByOperator(step)
