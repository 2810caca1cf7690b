"""How far time is for one stage while one batch is on its way. What a stage sees of the watermark lags by the delays of the
stages with state in front of it, whose results may be that much older."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.pipeline.engine.provenance import Origin
from mainstem.pipeline.engine.watermarks import BEGINNING, END, Watermarks


def delayed(watermark_ms: int, delay_ms: int) -> int:
    return watermark_ms - delay_ms if BEGINNING < watermark_ms < END else watermark_ms


class ReadTimes:
    """The times of one batch that was read, shared by all stages it goes through. `split` is None where a stage made it."""

    __slots__ = ("_before", "_declared", "_marks", "_timestamps", "now_ms", "reach_ms", "split", "watermark_ms")

    def __init__(
        self, marks: Watermarks, now_ms: int, split: str | None, timestamps: Sequence[int], *, declared: bool
    ) -> None:
        """`declared`: the source itself says how far its split is, so records do not move the watermark."""
        self.now_ms = now_ms
        self.split = split
        self.watermark_ms = marks.current
        self._marks = marks
        self._timestamps = timestamps
        self._declared = declared or split is None
        self._before: list[int] | None = None
        if self._declared or split is None or not timestamps:
            self.reach_ms = marks.current
        else:
            self.reach_ms = marks.reach(split, max(timestamps))

    def before(self) -> list[int]:
        """The watermark just before each record that was read."""
        if self._before is None:
            if self._declared or self.split is None:
                self._before = [self.watermark_ms] * len(self._timestamps)
            else:
                self._before = self._marks.before_each(self.split, self._timestamps)
        return self._before


class StageMoment:
    """`operators.stateful.Moment` for one stage and one batch."""

    __slots__ = ("_delay_ms", "_origin", "_records", "_times")

    def __init__(self, times: ReadTimes, origin: Origin, records: int, delay_ms: int) -> None:
        self._times = times
        self._origin = origin
        self._records = records
        self._delay_ms = delay_ms

    @property
    def now_ms(self) -> int:
        return self._times.now_ms

    @property
    def watermark_ms(self) -> int:
        return delayed(self._times.watermark_ms, self._delay_ms)

    @property
    def reach_ms(self) -> int:
        return delayed(self._times.reach_ms if self._origin.is_known else self._times.watermark_ms, self._delay_ms)

    def before_each(self) -> Sequence[int]:
        if not self._origin.is_known:
            return [self.watermark_ms] * self._records
        column = self._origin.carry(self._times.before())
        return [delayed(watermark_ms, self._delay_ms) for watermark_ms in column]
