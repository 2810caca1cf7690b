"""Sources and sinks in memory: for tests of plans, and for measuring the engine alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mainstem.api.batch import Batch, SourceBatch
from mainstem.api.connector import ConnectorSpec, Rejected, Split
from mainstem.api.spec import PluginConfig

NAME = "memory"


def memory_source(splits: Mapping[str, Batch] | Batch, *, is_bounded: bool = True) -> ConnectorSpec:
    """A source of these records: `Pipeline("p").source(connector=memory_source(Batch(...)))`.

    A position is the number of records before it. Unbounded, it waits at its end for records that are
    appended.
    """
    held = {NAME: splits} if isinstance(splits, Batch) else dict(splits)
    return ConnectorSpec(
        name=NAME,
        source_config=PluginConfig,
        open_source=lambda config, context: MemorySource(held, is_bounded=is_bounded),
    )


def memory_sink(into: Batch) -> ConnectorSpec:
    """A sink that appends to the columns of a batch."""
    return ConnectorSpec(name=NAME, sink_config=PluginConfig, open_sink=lambda config, context: MemorySink(into))


def null_sink() -> ConnectorSpec:
    """A sink that forgets everything."""
    return ConnectorSpec(name="null", sink_config=PluginConfig, open_sink=lambda config, context: NullSink())


def empty_batch() -> Batch:
    return Batch(keys=[], values=[], timestamps=[])


class MemorySource:
    def __init__(self, splits: Mapping[str, Batch], *, is_bounded: bool) -> None:
        self._splits = splits
        self._is_bounded = is_bounded
        self.committed: dict[str, Any] = {}

    async def open(self) -> None:
        pass

    async def splits(self) -> Sequence[Split]:
        return [
            Split(
                name=name,
                records_total=len(batch) if self._is_bounded else None,
                is_bounded=self._is_bounded,
            )
            for name, batch in self._splits.items()
        ]

    async def read(self, split: str, position: Any, *, max_records: int, max_wait_ms: int) -> SourceBatch:
        held = self._splits[split]
        first = position or 0
        end = min(first + max_records, len(held))
        if first == end and not self._is_bounded:
            await asyncio.sleep(max_wait_ms / 1000)
        return SourceBatch(
            split=split,
            batch=held.part(first, end),
            next_position=end,
            at_end=self._is_bounded and end == len(held),
            offsets=range(first, end),
        )

    async def commit(self, positions: Mapping[str, Any]) -> None:
        self.committed.update(positions)

    async def close(self) -> None:
        pass


class MemorySink:
    def __init__(self, into: Batch) -> None:
        self._into = into

    async def open(self) -> None:
        pass

    async def write(self, batch: Batch) -> Sequence[Rejected]:
        self._into.extend(batch)
        return ()

    async def flush(self) -> None:
        pass

    async def close(self) -> None:
        pass


class NullSink:
    async def open(self) -> None:
        pass

    async def write(self, batch: Batch) -> Sequence[Rejected]:
        return ()

    async def flush(self) -> None:
        pass

    async def close(self) -> None:
        pass
