"""Results of windows on their way out, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from mainstem.api.batch import Batch
from mainstem.pipeline.operators.stateful import Emission
from mainstem.pipeline.operators.stateless import pick
from mainstem.pipeline.plan.steps import LATE
from mainstem.pipeline.plan.times import time_text

RESULTS_PER_BATCH = 10_000


class Result(NamedTuple):
    """`row` is the record that brought it about, -1 where time did."""

    key: Any
    value: dict[str, Any]
    timestamp: int
    row: int = -1


def by_record(results: Sequence[Result]) -> list[Emission]:
    """Results that records brought about, in their order."""
    if not results:
        return []
    return [Emission(_batch(results), places=[one.row for one in results])]


def by_time(results: Iterable[Result], start_ms: int) -> Iterator[Emission]:
    """Results of one window that is final, or due."""
    waiting = list(results)
    for first in range(0, len(waiting), RESULTS_PER_BATCH):
        yield Emission(_batch(waiting[first : first + RESULTS_PER_BATCH]), about=f"window {time_text(start_ms)}")


def late(batch: Batch, rows: Sequence[int]) -> list[Emission]:
    return [Emission(pick(batch, rows), LATE, rows)] if rows else []


def _batch(results: Sequence[Result]) -> Batch:
    return Batch(
        keys=[one.key for one in results],
        values=[one.value for one in results],
        timestamps=[one.timestamp for one in results],
    )
