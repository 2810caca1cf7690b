"""Joins of two streams: by interval, by window, and as of.

A record is late, and dropped, where its partner could have been forgotten: when it is older than the watermark by more than the
grace. What can find no partner any more is forgotten, and told alone where the join is `left` or `outer`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.aggregating import check_keys
from mainstem.pipeline.operators.buffered_sides import (
    LEFT_SIDE,
    RIGHT_SIDE,
    TIME,
    VALUE,
    BufferedSides,
    Kept,
)
from mainstem.pipeline.operators.quiet import Quiet
from mainstem.pipeline.operators.stateful import Emission, Moment, Stores
from mainstem.pipeline.operators.window_results import late
from mainstem.pipeline.plan.steps import LEFT, AsOfJoin, IntervalJoin, WindowJoin

SIDES = {LEFT: LEFT_SIDE}


class Pair(NamedTuple):
    """`time` of a result is that of its younger record."""

    row: int
    key: Any
    value: Any
    time: int


class _StreamJoin(Quiet, ABC):
    """Subclasses say who are partners."""

    def __init__(self, function: Callable[[Any, Any], Any], kind: str, grace_ms: int) -> None:
        self._function = function
        self._keeps = {LEFT_SIDE: kind in ("left", "outer"), RIGHT_SIDE: kind == "outer"}
        self._grace_ms = grace_ms

    @abstractmethod
    def _stretch_ms(self) -> int:
        """See the class."""

    @abstractmethod
    def _partners(self, side: int, key: Any, time: int) -> Iterator[list[Any]]:
        """Records of the other side."""

    @abstractmethod
    def _needed_until(self, side: int) -> int:
        """How much older than the watermark less grace a record may be and still find a partner."""

    @property
    def delay_ms(self) -> int:
        return self._grace_ms + max(self._needed_until(LEFT_SIDE), self._needed_until(RIGHT_SIDE))

    def open(self, stores: Stores) -> None:
        self._sides = BufferedSides(stores.own, self._stretch_ms())

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        check_keys(batch.keys)
        side = SIDES.get(port, RIGHT_SIDE)
        before = moment.before_each()
        pairs: list[Pair] = []
        late_rows: list[int] = []
        for row, (key, value, time) in enumerate(zip(batch.keys, batch.values, batch.timestamps, strict=True)):
            if time + self._grace_ms < before[row]:
                late_rows.append(row)
                continue
            partners = list(self._partners(side, key, time))
            try:
                made = [self._pair(row, side, key, value, time, partner) for partner in partners]
            except Exception as error:  # a user's function may raise anything
                applied = [*_emissions(batch, pairs), *late(batch, late_rows)]
                raise StageFailure(error, row, applied=applied) from error
            pairs += made
            for partner in partners:
                self._sides.mark_matched(1 - side, key, partner)
            self._sides.add(side, key, time, value, is_matched=bool(partners))
        return [*_emissions(batch, pairs), *late(batch, late_rows)]

    def _pair(self, row: int, side: int, key: Any, value: Any, time: int, partner: Sequence[Any]) -> Pair:
        left, right = (value, partner[VALUE]) if side == LEFT_SIDE else (partner[VALUE], value)
        return Pair(row, key, self._function(left, right), max(time, partner[TIME]))

    def on_watermark(self, watermark_ms: int) -> Iterator[Emission]:
        for side in (LEFT_SIDE, RIGHT_SIDE):
            alone = self._sides.drop_before(side, watermark_ms - self._grace_ms - self._needed_until(side))
            if alone and self._keeps[side]:
                yield self._alone(side, alone)

    def _alone(self, side: int, alone: Sequence[Kept]) -> Emission:
        """Raises: whatever the user's function raises."""
        values = [
            self._function(kept.record[VALUE], None) if side == LEFT_SIDE else self._function(None, kept.record[VALUE])
            for kept in alone
        ]
        batch = Batch(
            keys=[kept.key for kept in alone], values=values, timestamps=[kept.record[TIME] for kept in alone]
        )
        return Emission(batch, about="records without a partner")


class IntervalJoinOperator(_StreamJoin):
    """`-before_ms <= right time - left time <= after_ms`."""

    def __init__(self, step: IntervalJoin) -> None:
        super().__init__(step.function, step.kind, step.grace_ms)
        self._before_ms, self._after_ms = step.before_ms, step.after_ms

    def _stretch_ms(self) -> int:
        return self._before_ms + self._after_ms + 1

    def _partners(self, side: int, key: Any, time: int) -> Iterator[list[Any]]:
        if side == LEFT_SIDE:
            return self._sides.between(RIGHT_SIDE, key, time - self._before_ms, time + self._after_ms)
        return self._sides.between(LEFT_SIDE, key, time - self._after_ms, time + self._before_ms)

    def _needed_until(self, side: int) -> int:
        return self._after_ms if side == LEFT_SIDE else self._before_ms


class WindowJoinOperator(_StreamJoin):
    """Both in one window; in several common ones of a hopping window, one pair for each."""

    def __init__(self, step: WindowJoin) -> None:
        super().__init__(step.function, step.kind, step.grace_ms)
        self._window = step.window
        self._size_ms = step.window.size_ms

    def _stretch_ms(self) -> int:
        return self._size_ms

    def _partners(self, side: int, key: Any, time: int) -> Iterator[list[Any]]:
        for start in reversed(self._window.starts_of(time)):
            yield from self._sides.between(1 - side, key, start, start + self._size_ms - 1)

    def _needed_until(self, side: int) -> int:
        return self._size_ms


class AsOfJoinOperator(Quiet):
    """Left records wait until the watermark has passed them by the grace: nothing older can come then."""

    def __init__(self, step: AsOfJoin) -> None:
        self._function = step.function
        self._keeps_all = step.kind == "left"
        self._within_ms = step.within_ms
        self._grace_ms = step.grace_ms

    @property
    def delay_ms(self) -> int:
        return self._grace_ms + 1

    def open(self, stores: Stores) -> None:
        self._sides = BufferedSides(stores.own, self._within_ms + self._grace_ms + 1)

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        check_keys(batch.keys)
        side = SIDES.get(port, RIGHT_SIDE)
        before = moment.before_each()
        late_rows: list[int] = []
        for row, (key, value, time) in enumerate(zip(batch.keys, batch.values, batch.timestamps, strict=True)):
            if time + 1 + self._grace_ms <= before[row]:
                late_rows.append(row)
            else:
                self._sides.add(side, key, time, value, is_matched=False)
        return late(batch, late_rows)

    def on_watermark(self, watermark_ms: int) -> Iterator[Emission]:
        passed = watermark_ms - self._grace_ms
        ready = self._sides.drop_before(LEFT_SIDE, passed)
        keys, values, times = [], [], []
        for kept in ready:
            time = kept.record[TIME]
            older = list(self._sides.between(RIGHT_SIDE, kept.key, time - self._within_ms, time))
            if older or self._keeps_all:
                keys.append(kept.key)
                values.append(self._function(kept.record[VALUE], older[-1][VALUE] if older else None))
                times.append(time)
        if keys:
            yield Emission(Batch(keys=keys, values=values, timestamps=times), about="records joined as of their time")
        self._sides.drop_before(RIGHT_SIDE, passed - self._within_ms)


def _emissions(batch: Batch, pairs: Sequence[Pair]) -> list[Emission]:
    if not pairs:
        return []
    made = Batch(
        keys=[pair.key for pair in pairs],
        values=[pair.value for pair in pairs],
        timestamps=[pair.time for pair in pairs],
    )
    return [Emission(made, places=[pair.row for pair in pairs])]
