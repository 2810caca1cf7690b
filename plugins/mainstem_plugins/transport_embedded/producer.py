"""Appends record batches to the partitions of the broker in this process, with acks=all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

from mainstem.api.batch import Batch
from mainstem.api.node import LocalNode
from mainstem.api.transport import TransportError
from mainstem.model import records
from mainstem.model.compression import codec_of
from mainstem.model.errors import RequestError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_embedded import EmbeddedConfig

RECORD_OVERHEAD_BYTES = 32


class EmbeddedProducer:
    """Appends start in the order of `produce`, so records keep their order; `flush` waits until all are committed."""

    def __init__(self, config: EmbeddedConfig, node: LocalNode) -> None:
        self._config = config
        self._node = node
        self._codec = codec_of(config.compression)
        self._in_flight: deque[tuple[TopicPartition, int, asyncio.Future[int]]] = deque()
        self._in_flight_bytes = 0

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        for first, end in _slices(batch, self._config.batch_bytes):
            headers = None if batch.headers is None else batch.headers[first:end]
            encoded = records.encode(
                batch.keys[first:end],
                batch.values[first:end],
                batch.timestamps[first:end],
                headers,
                codec=self._codec,
            )
            while self._in_flight_bytes + len(encoded) > self._config.in_flight_bytes and self._in_flight:
                await self._settle_oldest()
            appending = asyncio.ensure_future(self._node.append(partition, encoded))
            self._in_flight.append((partition, len(encoded), appending))
            self._in_flight_bytes += len(encoded)

    async def flush(self) -> None:
        while self._in_flight:
            await self._settle_oldest()

    async def _settle_oldest(self) -> None:
        partition, size, appending = self._in_flight[0]
        try:
            await asyncio.shield(appending)
        except RequestError as error:
            raise TransportError(f"{partition} cannot be written: {error}") from error
        self._in_flight.popleft()
        self._in_flight_bytes -= size

    async def close(self) -> None:
        """Appends that have started end by themselves; nobody asks any more how."""
        await asyncio.gather(*(appending for _, _, appending in self._in_flight), return_exceptions=True)
        self._in_flight.clear()
        self._in_flight_bytes = 0


def _slices(batch: Batch, batch_bytes: int) -> Iterator[tuple[int, int]]:
    """Places to cut so that a record batch stays below `batch_bytes` before compression, unless one record is larger."""
    first = size = 0
    for place, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
        record = RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"")
        if batch.headers is not None:
            record += sum(len(name) + len(content or b"") + 4 for name, content in batch.headers[place])
        if size + record > batch_bytes and place > first:
            yield first, place
            first, size = place, 0
        size += record
    if len(batch) > first:
        yield first, len(batch)
