"""A member of a consumer group. One thread polls; what the group decides there is carried to the event loop and back."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.api.transport import FetchedBatch, RebalanceListener, TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_kafka.client import (
    PASSING,
    Message,
    PassingErrors,
    columns_of,
    in_words,
    quiet_logger,
    take,
)

R = TypeVar("R")


class KafkaConsumer:
    """Every call of librdkafka that waits runs in one thread. While that thread is inside a rebalance callback it waits
    for the event loop and runs what the loop asks of it: a commit or a pause from any other thread would block until the
    callback returns, which waits for the loop."""

    def __init__(self, properties: dict[str, str | int | bool], group_id: str, context: PluginContext) -> None:
        self._group_id = group_id
        self._trouble = PassingErrors(context.log, f"consumer of {group_id}")
        settings: dict[str, Any] = {**properties, "group.id": group_id, "error_cb": self._trouble}
        self._consumer = Consumer(settings, logger=quiet_logger())
        self._polling = ThreadPoolExecutor(1, thread_name_prefix="mainstem-kafka-poll")
        self._requests: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._is_in_callback = False
        self._loop = asyncio.get_running_loop()
        self._listener: RebalanceListener | None = None
        self._failure: BaseException | None = None
        self._is_closing = False

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        self._listener = listener
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    # In the polling thread: librdkafka calls these while it polls and goes on when they return.

    def _on_assign(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        consumer.assign(partitions)
        consumer.resume(partitions)  # librdkafka remembers what was paused before
        self._tell(lambda listener: listener.assigned(_names(partitions)))

    def _on_revoke(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._tell(lambda listener: listener.revoked(_names(partitions)))

    def _on_lost(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._tell(lambda listener: listener.lost(_names(partitions)))

    def _tell(self, call: Callable[[RebalanceListener], Coroutine[Any, Any, None]]) -> None:
        if self._is_closing or self._listener is None:
            return
        self._is_in_callback = True
        told = asyncio.run_coroutine_threadsafe(call(self._listener), self._loop)
        told.add_done_callback(self._callback_is_done)
        try:
            while (request := self._requests.get()) is not None:
                request()
            told.result()
        except Exception as error:  # raised again by the fetch that is waiting for this thread
            self._failure = self._failure or error

    def _callback_is_done(self, told: Future[None]) -> None:
        self._is_in_callback = False
        self._requests.put(None)

    async def _in_polling_thread(self, work: Callable[[], R]) -> R:
        if not self._is_in_callback:
            return await self._loop.run_in_executor(self._polling, work)
        outcome: Future[R] = Future()

        def request() -> None:
            try:
                outcome.set_result(work())
            except Exception as error:  # belongs to whoever asked
                outcome.set_exception(error)

        self._requests.put(request)
        return await asyncio.wrap_future(outcome)

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        messages = await self._loop.run_in_executor(self._polling, self._poll, max_records, max_wait_ms / 1000)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._trouble.fatal is not None:
            raise in_words(self._trouble.fatal, f"the consumer of group {self._group_id} cannot go on")
        return self._in_batches(messages)

    def _poll(self, max_records: int, max_wait_s: float) -> list[Message]:
        return [] if self._is_closing else take(self._consumer, max_records, max_wait_s)

    def _in_batches(self, messages: Sequence[Message]) -> list[FetchedBatch]:
        records: dict[TopicPartition, list[Message]] = {}
        ends: dict[TopicPartition, int] = {}
        for message in messages:
            error = message.error()
            if error is None:
                records.setdefault(TopicPartition(message.topic(), message.partition()), []).append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ends[TopicPartition(message.topic(), message.partition())] = message.offset()
            elif error.code() not in PASSING:
                raise in_words(error, f"group {self._group_id} cannot read {message.topic() or 'its topics'}")
        fetched = [self._batch(partition, found, ends) for partition, found in records.items()]
        fetched += [_at_end(partition, end) for partition, end in ends.items()]
        return fetched

    def _batch(
        self, partition: TopicPartition, messages: list[Message], ends: dict[TopicPartition, int]
    ) -> FetchedBatch:
        offsets = [message.offset() for message in messages]
        next_offset = max(offsets[-1] + 1, ends.pop(partition, 0))
        known_end = self._consumer.get_watermark_offsets(_theirs(partition), cached=True)[1]
        return FetchedBatch(
            partition=partition, batch=columns_of(messages), offsets=offsets, next_offset=next_offset,
            end_offset=max(known_end, next_offset),
        )  # fmt: skip

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._now_or_in_callback(lambda: self._consumer.pause([_theirs(partition) for partition in partitions]))

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._now_or_in_callback(lambda: self._consumer.resume([_theirs(partition) for partition in partitions]))

    def _now_or_in_callback(self, work: Callable[[], None]) -> None:
        if self._is_in_callback:
            self._requests.put(work)
        else:
            work()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        theirs = [confluent_kafka.TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        what = f"group {self._group_id} cannot commit"
        try:
            committed = await self._in_polling_thread(lambda: self._consumer.commit(offsets=theirs, asynchronous=False))
        except KafkaException as error:
            raise in_words(error, what) from error
        for one in committed or ():
            if one.error is not None:
                raise in_words(one.error, f"{what} {one.topic}-{one.partition}")

    async def close(self) -> None:
        self._is_closing = True
        try:
            await self._loop.run_in_executor(self._polling, self._consumer.close)
        except (KafkaException, RuntimeError) as error:
            raise TransportError(f"the consumer of group {self._group_id} did not close: {error}") from error
        finally:
            self._polling.shutdown(wait=False)


def _at_end(partition: TopicPartition, end: int) -> FetchedBatch:
    nothing = Batch(keys=[], values=[], timestamps=[])
    return FetchedBatch(partition=partition, batch=nothing, offsets=[], next_offset=end, end_offset=end)


def _theirs(partition: TopicPartition) -> confluent_kafka.TopicPartition:
    return confluent_kafka.TopicPartition(partition.topic, partition.partition)


def _names(partitions: Sequence[confluent_kafka.TopicPartition]) -> list[TopicPartition]:
    return [TopicPartition(one.topic, one.partition) for one in partitions]
