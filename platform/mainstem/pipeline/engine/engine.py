"""Runs one pipeline: read a batch, take it through the stages, and commit how far it came once every sink
has flushed.

    read ─> head stages ─> window ─> tail stages ─> sinks
                             │ holds state in memory, emits when the watermark passes

    checkpoint, every `commit_interval_ms`:
      1. every sink flushes
      2. the watermark is stored, if there is a window
      3. the positions are committed

A crash between any two steps repeats records and loses none. While a window is open, positions are committed
only up to the beginning of the epoch (the time between two checkpoints) in which its first record came; what
such a repeat brings for windows that had been emitted is dropped by the stored watermark. An error in a
stage ends the run without a checkpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mainstem.api.batch import Batch, SourceBatch
from mainstem.api.context import Clock
from mainstem.pipeline.engine.counters import PipelineCounters, StageCounters
from mainstem.pipeline.engine.inputs import Input, InputFailure, reason_of
from mainstem.pipeline.engine.outputs import Output
from mainstem.pipeline.engine.positions import Positions
from mainstem.pipeline.engine.provenance import Origin, SourceOrigin, WindowOrigin
from mainstem.pipeline.errors import PipelineError, StageFailure
from mainstem.pipeline.operators.stateless import Operator
from mainstem.pipeline.operators.window_stage import WindowStage


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """`max_wait_ms` bounds how long a stop or a checkpoint may have to wait for a read."""

    commit_interval_ms: int = 1_000
    max_wait_ms: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorStage:
    name: str
    operator: Operator
    counters: StageCounters


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputStage:
    """Takes batches and passes them on unchanged."""

    name: str
    output: Output
    counters: StageCounters


Stage = OperatorStage | OutputStage


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """All stages of a pipeline in order; without a window `tail` is empty."""

    head: Sequence[Stage]
    window: WindowStage | None
    tail: Sequence[Stage]

    @property
    def outputs(self) -> list[OutputStage]:
        return [stage for stage in (*self.head, *self.tail) if isinstance(stage, OutputStage)]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. `written` is records per sink; `is_finished` is False if it was stopped before its
    end.
    """

    pipeline: str
    records_read: int
    written: dict[str, int]
    late: int
    elapsed_ms: int
    is_finished: bool


class Engine:
    """One pipeline on one loop, for one run. Opened, run and closed in this order."""

    def __init__(
        self,
        pipeline: str,
        *,
        source: Input,
        source_stage: str,
        chain: Chain,
        positions: Positions | None,
        counters: PipelineCounters,
        clock: Clock,
        settings: EngineSettings,
    ) -> None:
        self.pipeline = pipeline
        self.counters = counters
        self._input = source
        self._source_stage = source_stage
        self._source_counters = counters.stage(source_stage)
        self._head, self._window, self._tail = chain.head, chain.window, chain.tail
        self._outputs = chain.outputs
        self._store = positions
        self._clock = clock
        self._settings = settings
        self._positions: dict[str, Any] = {}
        self._committed: dict[str, Any] = {}
        self._epoch = 0
        self._epoch_starts: dict[int, Mapping[str, Any]] = {}
        self._active_ms: dict[str, int] = {}
        self._checkpoint_ms = 0
        self._is_stopping = False

    async def open(self) -> None:
        """Open sinks, which creates their topics, and stored positions. Raises: PipelineError."""
        for stage in self._outputs:
            await self._guard(stage.name, stage.output.open())
        if self._store is not None:
            await self._guard(self._source_stage, self._store.open())
            if self._window is not None:
                stored = self._store.get(self._window.name, "")
                if stored is not None:
                    self._window.restore(int(stored))

    def stop(self) -> None:
        """End the run after the batches in hand, with a checkpoint."""
        self._is_stopping = True

    async def run(self) -> Summary:
        """Until the source has ended or `stop` was called. Raises: PipelineError; nothing was acknowledged
        then.
        """
        started_ms = self._checkpoint_ms = self._clock.monotonic_ms()
        try:
            await self._input.open(self)
            while not (self._is_stopping or self._input.is_finished):
                for read in await self._input.read(self._settings.max_wait_ms):
                    await self._process(read)
                await self._between_reads()
                await asyncio.sleep(0)  # a source that never waits must not keep the broker beside it from working
            await self._checkpoint()
        except PipelineError:
            raise
        except InputFailure as failure:
            raise self._error(self._source_stage, failure.place, failure.reason) from failure
        except Exception as error:  # a connector or transport may be a stranger's; the run ends with the stage
            raise self._error(self._source_stage, "", reason_of(error)) from error
        return Summary(
            pipeline=self.pipeline,
            records_read=self.counters.records_read,
            written={stage.name: stage.counters.total_in for stage in self._outputs},
            late=self.counters.late,
            elapsed_ms=self._clock.monotonic_ms() - started_ms,
            is_finished=self._input.is_finished,
        )

    async def close(self) -> None:
        """Release everything; what was not checkpointed will be read again. Raises: the first that could not
        be closed.
        """
        self._is_stopping = True
        closing: list[Awaitable[None]] = [self._input.close()]
        closing += [stage.output.close() for stage in self._outputs]
        if self._store is not None:
            closing.append(self._store.close())
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    # Splits come and go: called by the input while `run` waits for it.

    async def assigned(self, splits: Sequence[str]) -> None:
        now_ms = self._clock.monotonic_ms()
        for split in splits:
            self._active_ms[split] = now_ms
            self._positions[split] = self._input.position(split)
        if self._window is not None:
            self._window.assign(splits)
            self._epoch_starts[self._epoch] = dict(self._positions)

    async def revoked(self, splits: Sequence[str]) -> None:
        await self._checkpoint()
        await self.lost(splits)

    async def lost(self, splits: Sequence[str]) -> None:
        for split in splits:
            self._positions.pop(split, None)
            self._committed.pop(split, None)
            self._active_ms.pop(split, None)
            self.counters.lag.pop(split, None)
        if self._window is not None:
            self._window.forget(splits)
            self._epoch_starts = {}

    # One batch.

    async def _process(self, read: SourceBatch) -> None:
        batch, split = read.batch, read.split
        records = len(batch)
        origin = SourceOrigin(read)
        if records:
            self._source_counters.count(split, records, records)
            self._active_ms[split] = self._clock.monotonic_ms()
            batch = await self._run_stages(self._head, batch, origin, split)
        if self._window is not None:
            try:
                self._window.take(read, batch, origin, self._epoch)
            except StageFailure as failure:
                raise self._stage_error(self._window.name, failure, origin) from failure.cause
        self._positions[split] = read.next_position
        lag = self._input.lag(split)
        if lag is not None:
            self.counters.lag[split] = lag
        if self._window is not None:
            if read.at_end:
                self._window.finish(split)
            await self._emit(self._window)

    async def _run_stages(self, stages: Sequence[Stage], batch: Batch, origin: Origin, split: str) -> Batch:
        for stage in stages:
            records = len(batch)
            if records == 0:
                break
            try:
                if isinstance(stage, OutputStage):
                    await stage.output.write(batch)
                else:
                    batch = await stage.operator.apply(batch, origin)
            except StageFailure as failure:
                raise self._stage_error(stage.name, failure, origin) from failure.cause
            except Exception as error:  # a sink may be a stranger's; the run ends with the place
                raise self._error(stage.name, origin.place(None), reason_of(error)) from error
            stage.counters.count(split, records, len(batch))
        return batch

    async def _emit(self, window: WindowStage) -> None:
        for closed in window.close_final():
            await self._run_stages(self._tail, closed.batch, WindowOrigin(closed.start_ms), "")

    # Time and durability.

    async def _between_reads(self) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._window is not None:
            for split, active_ms in self._active_ms.items():
                if now_ms - active_ms >= self._window.idle_after_ms and self._input.lag(split) == 0:
                    self._window.mark_idle(split)
            await self._emit(self._window)
        self.counters.records_total = self._input.records_total
        if now_ms - self._checkpoint_ms >= self._settings.commit_interval_ms:
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        for stage in self._outputs:
            await self._guard(stage.name, stage.output.flush())
        if self._window is not None:
            await self._guard(self._window.name, self._store_watermark(self._window))
        positions = {split: position for split, position in self._committable().items() if position is not None}
        if positions != self._committed:
            await self._guard(self._source_stage, self._input.commit(positions))
            self._committed = positions
            self.counters.commits += 1
        self._checkpoint_ms = self._clock.monotonic_ms()

    async def _store_watermark(self, window: WindowStage) -> None:
        watermark_ms = window.watermark_to_store()
        if watermark_ms is not None:
            assert self._store is not None, "a plan with a window has a store"
            await self._store.put(window.name, {"": watermark_ms})
            await self._store.flush()
            window.is_stored(watermark_ms)

    def _committable(self) -> dict[str, Any]:
        """Where the sinks have come; while windows are open, where the epoch began in which the oldest of
        them did.
        """
        if self._window is None:
            return dict(self._positions)
        epochs = self._window.first_epochs()
        held = self._epoch_starts[min(epochs)] if epochs else self._positions
        committable = {split: self._or_beginning(split, held.get(split)) for split in self._positions}
        self._epoch_starts = {epoch: start for epoch, start in self._epoch_starts.items() if epoch in epochs}
        self._epoch += 1
        self._epoch_starts[self._epoch] = dict(self._positions)
        return committable

    def _or_beginning(self, split: str, position: Any) -> Any:
        """A split that came after the oldest open window began, or was not read then, is held where it began."""
        return self._input.position(split) if position is None else position

    async def _guard(self, stage: str, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # a sink or transport may be a stranger's; the run ends with the stage
            raise self._error(stage, "", reason_of(error)) from error

    def _stage_error(self, stage: str, failure: StageFailure, origin: Origin) -> PipelineError:
        return self._error(stage, origin.place(failure.index), str(failure))

    def _error(self, stage: str, place: str, reason: str) -> PipelineError:
        return PipelineError(self.pipeline, stage, place, reason)
