"""An idempotent producer with acks=all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.api.transport import TransportError
from mainstem.model.columns import Headers
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_kafka.client import PassingErrors, in_words, quiet_logger

QUEUE_FULL_WAIT_S = 0.1
FLUSH_WAIT_S = 0.5
REPORT_WAIT_S = 0.1


class Report:
    """Offsets of the records of one `append`, as they arrive."""

    __slots__ = ("_count", "_loop", "arrived", "offsets")

    def __init__(self, count: int) -> None:
        self.offsets: list[int] = []
        self._loop = asyncio.get_running_loop()
        self.arrived: asyncio.Future[None] = self._loop.create_future()
        self._count = count

    def add(self, offset: int) -> None:
        """In whichever thread polls."""
        self.offsets.append(offset)
        if len(self.offsets) == self._count:
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        if not self.arrived.done():
            self.arrived.set_result(None)


class KafkaProducer:
    def __init__(self, properties: dict[str, str | int | bool], context: PluginContext) -> None:
        self._executor = context.executor
        self._trouble = PassingErrors(context.log, "producer")
        self._failed: TransportError | None = None
        self._reports: dict[tuple[str, int], Report] = {}
        self._polling: asyncio.Future[None] | None = None
        self._settings: dict[str, Any] = {**properties, "error_cb": self._trouble, "on_delivery": self._not_delivered}
        self._made: Producer | None = None

    @property
    def _producer(self) -> Producer:
        """Made when it is used: librdkafka reports on every record, or on those that failed only, for all of its life."""
        if self._made is None:
            self._made = Producer(self._settings, logger=quiet_logger())
        return self._made

    def _not_delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is not None and self._failed is None:
            self._failed = in_words(error, f"{message.topic()}-{message.partition()} did not take a record")

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        # By place, not by name: the call is half of what a record costs here. `produce_batch` takes no timestamps (2.16).
        topic, number = partition
        produce = self._producer.produce
        headers: Iterable[Headers | None] = repeat(None) if batch.headers is None else batch.headers
        try:
            for value, key, timestamp, own in zip(batch.values, batch.keys, batch.timestamps, headers, strict=False):
                theirs: Any = None if own is None else list(own)
                try:
                    produce(topic, value, key, number, None, None, timestamp, theirs)
                except BufferError:
                    await self._produce_when_there_is_room(topic, value, key, number, None, None, timestamp, theirs)
        except KafkaException as error:
            raise in_words(error, f"{partition} cannot be written") from error
        self._producer.poll(0)
        self._check()

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        if self._made is None:
            self._settings |= {"delivery.report.only.error": False, "on_delivery": self._delivered}
        # librdkafka keeps the order within a partition, so the reports of one call come in the order of its records.
        report = self._reports[partition] = Report(len(batch))
        await self.produce(partition, batch)
        while not report.arrived.done():
            self._polling = self._polling or asyncio.ensure_future(self._poll())
            await asyncio.wait({report.arrived, self._polling}, return_when=asyncio.FIRST_COMPLETED)
            self._check()
        return report.offsets

    async def _poll(self) -> None:
        await self._in_thread(self._producer.poll, REPORT_WAIT_S)
        self._polling = None

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        self._not_delivered(error, message)
        if error is None:
            self._reports[message.topic(), message.partition()].add(message.offset())

    async def _produce_when_there_is_room(self, *record: Any) -> None:
        while True:
            self._check()
            await self._in_thread(self._producer.poll, QUEUE_FULL_WAIT_S)
            try:
                self._producer.produce(*record)
                return
            except BufferError:
                continue

    async def flush(self) -> None:
        if self._made is None:
            return
        # Librdkafka gives up by itself (message.timeout.ms); in short steps, because a failure must not wait for the rest.
        try:
            while await self._in_thread(self._producer.flush, FLUSH_WAIT_S):
                self._check()
        except (KafkaException, SystemError) as error:
            # A fatal error, such as being fenced, is raised inside whichever callback runs, and comes out in either form.
            self._check()
            cause = error.__cause__ or error.__context__ or error
            if isinstance(cause, KafkaException):
                raise in_words(cause, "the producer cannot flush") from error
            raise TransportError(f"the producer cannot flush: {error}") from error
        self._check()

    def _check(self) -> None:
        if self._trouble.fatal is not None:
            raise in_words(self._trouble.fatal, "the producer cannot go on")
        if self._failed is not None:
            raise self._failed

    async def _call(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def _in_thread(self, call: Any, wait_s: float) -> int:
        return int(await self._call(lambda: call(wait_s)))

    async def close(self) -> None:
        if self._made is None:
            return
        self._producer.purge()
        await self._in_thread(self._producer.flush, FLUSH_WAIT_S)
