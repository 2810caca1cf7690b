"""Reads the splits of a connector's source for the task that owns it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mainstem.api.batch import SourceBatch
from mainstem.api.connector import Source, Split
from mainstem.model.errors import MainstemError
from mainstem.pipeline.engine.provenance import SourceOrigin
from mainstem.pipeline.engine.stages import Guarded, StoppedAt
from mainstem.pipeline.engine.task import Mail, Task
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.stateless import keep
from mainstem.pipeline.plan.fields import Selector, event_times

READS_AT_ONCE = 4


class ConnectorMail:
    """Opened by the task: event times are read there, because a policy may have to settle records without one."""

    def __init__(self, entry: str, read: SourceBatch, timestamp: Selector | None, stage: Guarded) -> None:
        self._entry = entry
        self._read = read
        self._timestamp = timestamp
        self._stage = stage

    async def open(self) -> Sequence[Mail]:
        read = self._read
        if self._timestamp is not None and len(read.batch):
            await self._set_event_times(read, self._timestamp)
        return [Mail(self._entry, read)]

    async def _set_event_times(self, read: SourceBatch, timestamp: Selector) -> None:
        """Raises: StoppedAt."""
        while len(read.batch):
            try:
                read.batch.timestamps = event_times(timestamp, read.batch.values)
                return
            except StageFailure as failure:
                told = StageFailure(f"the event time cannot be read: {failure}", failure.index)
                origin = SourceOrigin(read)
                if self._stage.guard.stops or failure.index is None:
                    raise self._stage.stopped(told, origin) from failure.cause

                async def again(failure: StageFailure = failure) -> None:
                    raise failure

                row = failure.index
                await self._stage.settle(read.batch, row, told, origin, again)
                mask = [place != row for place in range(len(read.batch))]
                read.batch = keep(read.batch, mask, origin)
                if read.offsets is not None:
                    read.offsets = [offset for offset, is_kept in zip(read.offsets, mask, strict=True) if is_kept]


class ConnectorReader:
    """Up to `READS_AT_ONCE` splits are read ahead by one batch while the task works."""

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        stage: Guarded,
        timestamp: Selector | None,
        once: bool,
        max_records: int,
    ) -> None:
        self.task = task
        self.lag: dict[str, int] = {}
        self._source = source
        self._stage = stage
        self._timestamp = timestamp
        self._once = once
        self._max_records = max_records
        self._splits: dict[str, Split] = {}
        self._next: dict[str, Any] = {}
        self._waiting: list[str] = []
        self._reads: dict[str, asyncio.Task[SourceBatch]] = {}
        self.is_open = False

    @property
    def pending(self) -> Sequence[asyncio.Task[SourceBatch]]:
        return list(self._reads.values())

    @property
    def records_total(self) -> int | None:
        if not all(split.is_bounded for split in self._splits.values()):
            return None
        totals = [split.records_total for split in self._splits.values() if split.records_total is not None]
        return sum(totals) if len(totals) == len(self._splits) else None

    async def open(self) -> None:
        """When the task's state is there: its positions are a part of it. Raises: StoppedAt."""
        try:
            await self._source.open()
            self._splits = {split.name: split for split in await self._source.splits()}
        except Exception as error:  # a connector may be a stranger's
            raise self._stopped("", error) from error
        self._next = {name: self.task.positions.get(name) for name in self._splits}
        self._waiting = list(self._splits)
        self.task.assign(list(self._splits))
        self.is_open = True

    def start_reads(self, max_wait_ms: int) -> None:
        while self._waiting and len(self._reads) < READS_AT_ONCE:
            name = self._waiting.pop(0)
            read = self._source.read(name, self._next[name], max_records=self._max_records, max_wait_ms=max_wait_ms)
            self._reads[name] = asyncio.ensure_future(read)

    def collect(self) -> Sequence[ConnectorMail]:
        """What has been read by now. Raises: StoppedAt."""
        done = [name for name, reading in self._reads.items() if reading.done()]
        return [self._finish_read(name, self._reads.pop(name)) for name in done]

    def _finish_read(self, name: str, reading: asyncio.Task[SourceBatch]) -> ConnectorMail:
        try:
            read = reading.result()
        except Exception as error:  # a connector may be a stranger's; the engine stops with the place
            raise self._stopped(f"split {name}, position {self._next[name]!r}", error) from error
        self._next[name] = read.next_position
        split = self._splits[name]
        is_empty = len(read.batch) == 0
        if is_empty or read.at_end:
            self.lag[name] = 0
        else:
            self.lag.pop(name, None)
        if self._once and is_empty and not split.is_bounded:
            read.at_end = True
        if not read.at_end:
            self._waiting.append(name)
        return ConnectorMail(self._stage.name, read, self._timestamp, self._stage)

    async def commit(self, positions: Mapping[str, Any]) -> None:
        """Raises: whatever the source raises."""
        await self._source.commit({split: at for split, at in positions.items() if at is not None})

    def _stopped(self, place: str, error: Exception) -> StoppedAt:
        return StoppedAt(self._stage.name, place, StageFailure(reason_of(error)))

    async def close(self) -> None:
        if self._reads:
            # Reads end by themselves within their max_wait_ms; cancelling one could leave a thread in the
            # source.
            await asyncio.wait(self._reads.values())
            for reading in self._reads.values():
                reading.exception()
            self._reads.clear()
        await self._source.close()


def reason_of(error: BaseException) -> str:
    """What an error says to a reader: our own texts name what to do, others need their type in front."""
    return str(error) if isinstance(error, MainstemError) else f"{type(error).__name__}: {error}"
