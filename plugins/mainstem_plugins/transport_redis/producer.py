"""A producer whose records are written once, also if the connection is lost while Redis answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

from mainstem.api.batch import Batch
from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_redis import RedisConfig
from mainstem_plugins.transport_redis.client import RedisClient
from mainstem_plugins.transport_redis.outgoing import CALL_BYTES, Appends, Item, Outgoing

REMEMBER_MS = 3_600_000


class RedisProducer:
    """One call at a time is under way, with everything that was produced meanwhile: the number of the last one is what Redis
    remembers of a producer, and order is kept."""

    def __init__(self, config: RedisConfig, client: RedisClient, appends: Appends) -> None:
        self._limit_bytes = config.in_flight_bytes
        self._appends = appends
        self._key = f"{client.base}producer:{uuid.uuid4().hex}"
        self._remember_ms = max(REMEMBER_MS, 10 * config.request_timeout_ms)
        self._number = 0
        self._queue = Outgoing(config.batch_bytes)
        self._sending: asyncio.Task[None] | None = None
        self._progress = asyncio.Event()
        self._failed: TransportError | None = None

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        await self._admit(partition, batch)
        self._queue.add(partition, batch)
        self._start()

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        await self._admit(partition, batch)
        items = self._queue.add_told(partition, batch)
        self._start()
        offsets: list[int] = []
        for item in items:
            assert item.told is not None, "told of what is appended"
            end = await item.told
            offsets.extend(range(end - len(item.batch), end))
        return offsets

    async def _admit(self, partition: TopicPartition, batch: Batch) -> None:
        """Raises: TransportError."""
        self._check()
        topic = await self._appends.topics.find(partition.topic)
        topic.check(partition, batch)
        while self._queue.size > self._limit_bytes and self._sending is not None:
            self._progress.clear()
            await self._progress.wait()
            self._check()

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _start(self) -> None:
        if self._sending is None and len(self._queue):
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        items: list[Item] = []
        try:
            while len(self._queue):
                items = self._queue.take(CALL_BYTES)
                self._number += 1
                await self._appends.run("append", self._key, [self._number, self._remember_ms], items)
                self._queue.settle(items)
                self._progress.set()
        except TransportError as error:
            self._fail(error, items)
        finally:
            self._sending = None
            self._progress.set()

    def _fail(self, error: TransportError, items: list[Item]) -> None:
        """What follows must not be written either: it would be in front of what was not."""
        first = f"{items[0].partition} did not take a record: " if items else ""
        self._failed = TransportError(f"{first}{error}")
        for item in [*items, *self._queue.clear()]:
            if item.told is not None and not item.told.done():
                item.told.set_exception(self._failed)
                item.told.exception()  # whoever waited may be gone

    async def flush(self) -> None:
        while self._sending is not None:
            await asyncio.wait([self._sending])
        self._check()

    async def close(self) -> None:
        sending = self._sending
        if sending is not None:
            sending.cancel()
            await asyncio.wait([sending])
        self._fail(TransportError("the producer is closed"), [])
