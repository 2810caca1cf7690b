"""Appends record batches to the partitions of the broker in this process, with acks=all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterator, Sequence
from typing import NamedTuple

from mainstem.api.batch import Batch, slices
from mainstem.api.node import LocalNode
from mainstem.model import records
from mainstem.model.compression import codec_of
from mainstem.model.errors import RequestError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_embedded import EmbeddedConfig
from mainstem_plugins.transport_embedded.trouble import trouble


class _Append(NamedTuple):
    partition: TopicPartition
    size: int
    appending: asyncio.Future[int]


class _Encoded(NamedTuple):
    """A record batch, and how many records are in it."""

    data: bytes
    record_count: int


class InFlight:
    """Appends that have started and are not known to be committed, in the order in which they started."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._appends: deque[_Append] = deque()
        self._bytes = 0

    async def make_room(self, size: int) -> None:
        """Raises: TransportError for the oldest that was refused."""
        while self._bytes + size > self._limit_bytes and self._appends:
            await self._settle_oldest()

    def add(self, partition: TopicPartition, size: int, appending: Awaitable[int]) -> None:
        self._appends.append(_Append(partition, size, asyncio.ensure_future(appending)))
        self._bytes += size

    async def settle(self) -> None:
        """Raises: TransportError."""
        while self._appends:
            await self._settle_oldest()

    async def _settle_oldest(self) -> None:
        one = self._appends[0]
        try:
            await asyncio.shield(one.appending)
        except RequestError as error:
            raise trouble(error, f"{one.partition} cannot be written") from error
        if self._appends and self._appends[0] is one:  # somebody else may have waited for it too
            self._appends.popleft()
            self._bytes -= one.size

    async def forget(self) -> None:
        """Appends that have started end by themselves; nobody asks any more how."""
        await asyncio.gather(*(one.appending for one in self._appends), return_exceptions=True)
        self._appends.clear()
        self._bytes = 0


class EmbeddedProducer:
    """Appends start in the order of `produce`, so records keep their order; `flush` waits until all are committed."""

    def __init__(self, config: EmbeddedConfig, node: LocalNode) -> None:
        self._config = config
        self._node = node
        self._codec = codec_of(config.compression)
        self._in_flight = InFlight(config.in_flight_bytes)

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        for encoded in self._encoded(batch):
            await self._in_flight.make_room(len(encoded.data))
            self._in_flight.add(partition, len(encoded.data), self._node.append(partition, encoded.data))

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        offsets: list[int] = []
        for encoded in self._encoded(batch):
            try:
                base = await self._node.append(partition, encoded.data)
            except RequestError as error:
                raise trouble(error, f"{partition} cannot be written") from error
            offsets.extend(range(base, base + encoded.record_count))
        return offsets

    def _encoded(self, batch: Batch) -> Iterator[_Encoded]:
        for first, end in slices(batch, self._config.batch_bytes):
            headers = None if batch.headers is None else batch.headers[first:end]
            data = records.encode(
                batch.keys[first:end],
                batch.values[first:end],
                batch.timestamps[first:end],
                headers,
                codec=self._codec,
            )
            yield _Encoded(data, end - first)

    async def flush(self) -> None:
        await self._in_flight.settle()

    async def close(self) -> None:
        await self._in_flight.forget()
