"""A window at work: watermarks decide what is late and what is final, `WindowState` holds what is open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mainstem.api.batch import Batch, SourceBatch
from mainstem.pipeline.engine.counters import PipelineCounters
from mainstem.pipeline.engine.provenance import SourceOrigin
from mainstem.pipeline.engine.watermarks import BEGINNING, END, Watermarks
from mainstem.pipeline.operators.window_state import Closed, WindowState
from mainstem.pipeline.plan.steps import Window


class WindowStage:
    """Owned by one run of a pipeline."""

    def __init__(self, step: Window, counters: PipelineCounters) -> None:
        self.name = step.name
        self.idle_after_ms = step.idle_after_ms
        self._state = WindowState(step)
        self._marks = Watermarks()
        self._counters = counters
        self._counts = counters.stage(step.name)
        self._stored = self._restored = BEGINNING

    # Watermarks.

    def restore(self, watermark_ms: int) -> None:
        """An earlier run emitted everything up to here; what is read again of it is dropped."""
        self._stored = self._restored = watermark_ms
        self._marks.restore(watermark_ms)

    def assign(self, splits: Sequence[str]) -> None:
        for split in splits:
            self._marks.assign(split)

    def forget(self, splits: Sequence[str]) -> None:
        """Splits are gone. What is open may hold records of theirs, so all of it goes and will be read
        again.
        """
        for split in splits:
            self._marks.remove(split)
        self._state.clear()
        self._marks.reset()
        self._marks.restore(self._stored)
        self._restored = self._stored

    def finish(self, split: str) -> None:
        self._marks.finish(split)

    def mark_idle(self, split: str) -> None:
        self._marks.mark_idle(split)

    def watermark_to_store(self) -> int | None:
        """What must be durable before positions are committed; None if it is already."""
        watermark = self._marks.current
        if not BEGINNING < watermark < END:
            # At the end of a bounded source windows are closed before their time; what counts is which were.
            closed_until_ms = self._state.closed_until_ms
            watermark = BEGINNING if closed_until_ms is None else closed_until_ms
        return watermark if watermark > self._stored else None

    def is_stored(self, watermark_ms: int) -> None:
        self._stored = watermark_ms

    def first_epochs(self) -> set[int]:
        """In which epochs the windows began that are open."""
        return self._state.first_epochs()

    # Records.

    def take(self, read: SourceBatch, batch: Batch, origin: SourceOrigin, epoch: int) -> None:
        """`batch` is what the head stages made of `read`. Raises: StageFailure."""
        marks, split = self._marks, read.split
        times = read.batch.timestamps if origin.is_known else batch.timestamps
        newest = max(times, default=BEGINNING) if read.watermark_ms is None else BEGINNING
        records = len(batch)
        if records:
            starts = self._state.starts(batch)
            if self._state.final_at(min(starts)) <= marks.reach(split, newest):
                batch, starts = self._without_late(read, batch, starts, origin)
            if len(batch):
                self._state.add(batch, starts, epoch)
        self._counts.count(split, records, 0)
        marks.observe(split, newest if read.watermark_ms is None else read.watermark_ms)

    def _without_late(
        self, read: SourceBatch, batch: Batch, starts: list[int], origin: SourceOrigin
    ) -> tuple[Batch, list[int]]:
        """Drop what comes after its window was closed, judged record by record, however batches were cut."""
        marks, state, split = self._marks, self._state, read.split
        if read.watermark_ms is not None:
            before = [marks.current] * len(batch)
        elif origin.is_known:
            before = origin.carry(marks.before_each(split, read.batch.timestamps))
        else:
            before = marks.before_each(split, batch.timestamps)
        keep = [state.final_at(start) > mark for start, mark in zip(starts, before, strict=True)]
        dropped = [start for start, kept in zip(starts, keep, strict=True) if not kept]
        if not dropped:
            return batch, starts
        replayed = sum(state.final_at(start) <= self._restored for start in dropped)
        counts = self._counts
        counts.replayed[split] = counts.replayed.get(split, 0) + replayed
        counts.late[split] = counts.late.get(split, 0) + len(dropped) - replayed
        origin.filtered(keep)
        places = [place for place, kept in enumerate(keep) if kept]
        kept_batch = Batch(
            keys=[batch.keys[place] for place in places],
            values=[batch.values[place] for place in places],
            timestamps=[batch.timestamps[place] for place in places],
        )
        return kept_batch, [starts[place] for place in places]

    def close_final(self) -> Iterator[Closed]:
        """The results of every window that the watermark has made final by now."""
        before = self._marks.current
        watermark = self._marks.advance()
        if watermark > before:
            for closed in self._state.close(watermark):
                self._counts.records_out[""] = self._counts.records_out.get("", 0) + len(closed.batch)
                yield closed
            if watermark < END:
                self._counters.watermark_ms = watermark
        self._counters.open_windows = len(self._state)
