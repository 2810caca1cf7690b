"""Records on their way out, as columns, and the round that appends them to their partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from faust.types import TP, RecordMetadata

from mainstem.api.batch import Batch
from mainstem.api.transport import AppendingProducer, TransportError
from mainstem.model.ids import TopicPartition

UNKNOWN_OFFSET = -1


class Outgoing:
    """Records of one partition, in order. `listeners`: (place, who wants the metadata)."""

    __slots__ = ("headers", "keys", "listeners", "timestamps", "values")

    def __init__(self) -> None:
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.headers: dict[int, Any] = {}
        self.listeners: list[tuple[int, Any]] = []

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, key: bytes | None, value: bytes | None, timestamp: int, headers: Any, listener: Any) -> None:
        if listener is not None:
            self.listeners.append((len(self.keys), listener))
        if headers:
            given = headers.items() if isinstance(headers, Mapping) else headers
            self.headers[len(self.keys)] = tuple((name, _bytes(content)) for name, content in given)
        self.keys.append(key)
        self.values.append(value)
        self.timestamps.append(timestamp)

    def batch(self) -> Batch:
        headers = [self.headers.get(place, ()) for place in range(len(self.keys))] if self.headers else None
        return Batch(keys=self.keys, values=self.values, timestamps=self.timestamps, headers=headers)

    def tell(self, tp: TP, offsets: Sequence[int] | None) -> None:
        for place, listener in self.listeners:
            if listener.done():
                continue
            offset = UNKNOWN_OFFSET if offsets is None else offsets[place]
            listener.set_result(RecordMetadata(tp.topic, tp.partition, tp, offset, self.timestamps[place] / 1000, 0))

    def fail(self, error: BaseException) -> None:
        for _, listener in self.listeners:
            if not listener.done():
                listener.set_exception(error)
                if isinstance(listener, asyncio.Future):
                    listener.exception()  # counts as seen: a send that nobody awaits stops the app at its next flush


def _bytes(content: Any) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


class Appender:
    """Remembers the first failure until somebody flushes, because a position must not be committed over it."""

    def __init__(self, producer: AppendingProducer) -> None:
        self._producer = producer
        self._failure: TransportError | None = None

    async def append(self, lots: Mapping[TP, Outgoing]) -> None:
        """All partitions at the same time. Never raises: whoever sent is told, and whoever flushes."""
        if len(lots) == 1:
            [(tp, lot)] = lots.items()
            await self._append_one(tp, lot)
        else:
            await asyncio.gather(*(self._append_one(tp, lot) for tp, lot in lots.items()))

    async def _append_one(self, tp: TP, lot: Outgoing) -> None:
        try:
            # Never `produce` beside it: a carrier may decide once per producer whether it reports where records are.
            lot.tell(tp, await self._producer.append(TopicPartition(*tp), lot.batch()))
        except TransportError as error:
            self._failure = self._failure or error
            lot.fail(error)

    async def flush(self) -> None:
        """Raises: TransportError."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        await self._producer.flush()

    async def close(self) -> None:
        await self._producer.close()
