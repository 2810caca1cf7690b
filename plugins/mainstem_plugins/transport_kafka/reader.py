"""Reading partitions without a group: one client for all that are read just now, each from where its reader is.

Assigning a partition anew throws away what was fetched ahead, so whoever reads on finds it where it stopped, and several readers
share the client without disturbing each other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException

from mainstem.api.context import PluginContext
from mainstem.api.transport import FetchedBatch
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_kafka.client import (
    CONSUMER_PROPERTIES,
    PASSING,
    Message,
    PassingErrors,
    columns_of,
    in_words,
    quiet_logger,
    runs_of,
    take,
    theirs,
)

R = TypeVar("R")
READER_GROUP = "mainstem-reader"
READER_WAIT_MS = 50
POLL_S = 0.02
POLL_RECORDS = 10_000
HELD_RECORDS_MAX = 50_000
IDLE_S = 10.0


class _Reading:
    """One partition. `next_offset` is where its reader goes on; `end`, the end of the partition when it was last met."""

    __slots__ = ("end", "error", "is_at_end", "is_paused", "messages", "next_offset", "read_at")

    def __init__(self, offset: int) -> None:
        self.next_offset = offset
        self.messages: deque[Message] = deque()
        self.end = -1
        self.is_at_end = False
        self.error: KafkaError | None = None
        self.is_paused = False
        self.read_at = 0.0

    def hold(self, messages: Sequence[Message]) -> None:
        for message in messages:
            error = message.error()
            if error is None:
                self.messages.append(message)
                self.is_at_end = False
            elif error.code() == KafkaError._PARTITION_EOF:
                self.end = message.offset()
                self.is_at_end = True
            elif error.code() not in PASSING:
                self.error = error


class PartitionReaders:
    """Everything with an underscore in front that is no coroutine runs in one thread, which alone knows the client."""

    def __init__(self, properties: dict[str, Any], context: PluginContext) -> None:
        trouble = PassingErrors(context.log, "reader")
        self._settings: dict[str, Any] = {
            **CONSUMER_PROPERTIES,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": READER_WAIT_MS,
            **properties,
            "group.id": READER_GROUP,
            "error_cb": trouble,
        }
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mainstem-kafka-read")
        self._client: Consumer | None = None
        self._readings: dict[TopicPartition, _Reading] = {}
        self._polling: asyncio.Future[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def read(self, partition: TopicPartition, offset: int, *, max_records: int, max_wait_ms: int) -> FetchedBatch:
        """As `Transport.read`. Raises: TransportError."""
        until = self._loop.time() + max_wait_ms / 1000
        self._keep()
        while True:
            left_s = until - self._loop.time()
            is_last = left_s <= 0
            found = await self._in_thread(lambda: self._take(partition, offset, max_records, is_last=is_last))  # noqa: B023
            if found is not None:
                return found
            await self._poll_once(left_s)

    async def _in_thread(self, work: Callable[[], R]) -> R:
        return await self._loop.run_in_executor(self._thread, work)

    async def _poll_once(self, left_s: float) -> None:
        """All who wait share one poll, and its failure."""
        if self._polling is None or self._polling.done():
            self._polling = asyncio.ensure_future(self._in_thread(self._poll))
        polling = self._polling
        await asyncio.wait({polling}, timeout=left_s)
        if polling.done():
            polling.result()

    def _poll(self) -> None:
        if self._client is None:
            return
        for partition, run in runs_of(take(self._client, POLL_RECORDS, POLL_S)):
            reading = self._readings.get(partition)
            if reading is not None:
                reading.hold(run)
        full = {
            partition: one
            for partition, one in self._readings.items()
            if not one.is_paused and len(one.messages) > HELD_RECORDS_MAX
        }
        if full:
            self._client.pause([theirs(partition) for partition in full])
            for one in full.values():
                one.is_paused = True

    def _take(self, partition: TopicPartition, offset: int, max_records: int, *, is_last: bool) -> FetchedBatch | None:
        """None: nothing is there yet."""
        reading = self._reading_at(partition, offset)
        if reading.error is not None:
            error, reading.error = reading.error, None
            raise in_words(error, f"{partition} cannot be read at offset {offset}")
        found = [reading.messages.popleft() for _ in range(min(max_records, len(reading.messages)))]
        if not found and not is_last and not (reading.is_at_end and reading.end > offset):
            return None
        return self._batch(partition, reading, found)

    def _batch(self, partition: TopicPartition, reading: _Reading, found: list[Message]) -> FetchedBatch:
        offsets = [message.offset() for message in found]
        next_offset = offsets[-1] + 1 if offsets else reading.next_offset
        is_at_end = reading.is_at_end and not reading.messages
        if is_at_end:
            next_offset = max(next_offset, reading.end)
        reading.next_offset = next_offset
        if reading.is_paused and len(reading.messages) <= HELD_RECORDS_MAX // 2:
            assert self._client is not None, "it was paused there"
            self._client.resume([theirs(partition)])
            reading.is_paused = False
        return FetchedBatch(
            partition=partition,
            batch=columns_of(found),
            offsets=offsets,
            next_offset=next_offset,
            end_offset=next_offset if is_at_end else next_offset + 1,
        )

    def _reading_at(self, partition: TopicPartition, offset: int) -> _Reading:
        """Raises: TransportError."""
        now = self._loop.time()
        reading = self._readings.get(partition)
        if reading is None or reading.next_offset != offset:
            reading = self._assign(partition, offset)
        reading.read_at = now
        idle = [one for one, known in self._readings.items() if now - known.read_at > IDLE_S]
        if idle:
            self._let_go(idle)
        return reading

    def _assign(self, partition: TopicPartition, offset: int) -> _Reading:
        try:
            if self._client is None:
                self._client = Consumer(self._settings, logger=quiet_logger())
            if partition in self._readings:
                self._let_go([partition])
            self._client.incremental_assign([confluent_kafka.TopicPartition(*partition, offset)])
        except KafkaException as error:
            raise in_words(error, f"{partition} cannot be read at offset {offset}") from error
        made = self._readings[partition] = _Reading(offset)
        return made

    def _let_go(self, partitions: list[TopicPartition]) -> None:
        assert self._client is not None, "they are assigned there"
        self._client.incremental_unassign([theirs(partition) for partition in partitions])
        for partition in partitions:
            del self._readings[partition]

    def _keep(self) -> None:
        """For a while after the last read: nothing is fetched for nobody."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._loop.call_later(IDLE_S, lambda: self._thread.submit(self._end))

    def _end(self) -> None:
        client, self._client = self._client, None
        self._readings.clear()
        if client is not None:
            client.close()

    async def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        await self._in_thread(self._end)
        self._thread.shutdown(wait=False)
