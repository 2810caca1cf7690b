"""A connector's source as an input of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mainstem.api.batch import SourceBatch
from mainstem.api.connector import Source, Split
from mainstem.pipeline.engine.inputs import InputFailure, SplitListener, reason_of, set_event_times
from mainstem.pipeline.engine.positions import Positions
from mainstem.pipeline.plan.fields import Selector

READS_AT_ONCE = 4


class ConnectorInput:
    """Up to `READS_AT_ONCE` splits are read ahead by one batch while the engine works."""

    def __init__(
        self,
        source: Source,
        positions: Positions,
        *,
        stage: str,
        timestamp: Selector | None,
        once: bool,
        max_records: int,
    ) -> None:
        self._source = source
        self._positions = positions
        self._stage = stage
        self._timestamp = timestamp
        self._once = once
        self._max_records = max_records
        self._splits: dict[str, Split] = {}
        self._next: dict[str, Any] = {}
        self._began: dict[str, Any] = {}
        self._lag: dict[str, int] = {}
        self._waiting: list[str] = []
        self._reads: dict[str, asyncio.Task[SourceBatch]] = {}

    @property
    def is_finished(self) -> bool:
        return not self._waiting and not self._reads

    @property
    def records_total(self) -> int | None:
        if not all(split.is_bounded for split in self._splits.values()):
            return None
        totals = [split.records_total for split in self._splits.values() if split.records_total is not None]
        return sum(totals) if len(totals) == len(self._splits) else None

    async def open(self, listener: SplitListener) -> None:
        await self._source.open()
        self._splits = {split.name: split for split in await self._source.splits()}
        for name in self._splits:
            self._began[name] = self._next[name] = self._positions.get(self._stage, name)
        self._waiting = list(self._splits)
        await listener.assigned(list(self._splits))

    def position(self, split: str) -> Any:
        return self._began.get(split)

    def lag(self, split: str) -> int | None:
        return self._lag.get(split)

    async def read(self, max_wait_ms: int) -> Sequence[SourceBatch]:
        self._start_reads(max_wait_ms)
        if not self._reads:
            return []
        await asyncio.wait(self._reads.values(), return_when=asyncio.FIRST_COMPLETED)
        done = [name for name, task in self._reads.items() if task.done()]
        batches = [self._finish_read(name, self._reads.pop(name)) for name in done]
        self._start_reads(max_wait_ms)
        return batches

    def _start_reads(self, max_wait_ms: int) -> None:
        while self._waiting and len(self._reads) < READS_AT_ONCE:
            name = self._waiting.pop(0)
            read = self._source.read(name, self._next[name], max_records=self._max_records, max_wait_ms=max_wait_ms)
            self._reads[name] = asyncio.ensure_future(read)

    def _finish_read(self, name: str, task: asyncio.Task[SourceBatch]) -> SourceBatch:
        try:
            read = task.result()
        except Exception as error:  # a connector may be a stranger's; the engine stops with the place
            raise InputFailure(f"split {name}, position {self._next[name]!r}", reason_of(error)) from error
        if self._timestamp is not None:
            set_event_times(read, self._timestamp)
        self._next[name] = read.next_position
        split = self._splits[name]
        is_empty = len(read.batch) == 0
        if is_empty or read.at_end:
            self._lag[name] = 0
        else:
            self._lag.pop(name, None)
        if self._once and is_empty and not split.is_bounded:
            read.at_end = True
        if not read.at_end:
            self._waiting.append(name)
        return read

    async def commit(self, positions: Mapping[str, Any]) -> None:
        await self._positions.put(self._stage, positions)
        await self._positions.flush()
        await self._source.commit(positions)

    async def close(self) -> None:
        if self._reads:
            # Reads end by themselves within their max_wait_ms; cancelling one could leave a thread in the
            # source.
            await asyncio.wait(self._reads.values())
            for task in self._reads.values():
                task.exception()
            self._reads.clear()
        await self._source.close()
