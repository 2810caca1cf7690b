"""A member of a consumer group. One thread polls; what the group decides there is carried to the event loop and back."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar, cast

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.api.transport import Committed, FetchedBatch, RebalanceListener, TransportError
from mainstem.model.errors import ConfigError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_kafka.client import (
    PASSING,
    GroupProtocol,
    Message,
    PassingErrors,
    columns_of,
    in_words,
    quiet_logger,
    runs_of,
    theirs,
)

R = TypeVar("R")
COMMITTED_TIMEOUT_S = 60.0


class _Coming(NamedTuple):
    """What the listener says of partitions while it is told of them."""

    starts: dict[TopicPartition, int]
    paused: set[TopicPartition]


class _Request:
    """What the event loop wants done by the polling thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.outcome: Future[Any] = Future()
        self._work = work

    def run(self) -> None:
        try:
            self.outcome.set_result(self._work())
        except Exception as error:  # belongs to whoever asked
            self.outcome.set_exception(error)


class KafkaConsumer:
    """Every call of librdkafka that waits runs in one thread. While that thread is inside a rebalance callback it waits
    for the event loop and runs what the loop asks of it: a commit or a pause from any other thread would block until the
    callback returns, which waits for the loop."""

    def __init__(
        self,
        properties: dict[str, str | int | bool],
        group_id: str,
        context: PluginContext,
        protocol: GroupProtocol,
    ) -> None:
        self._group_id = group_id
        self._protocol = protocol
        self._trouble = PassingErrors(context.log, f"consumer of {group_id}")
        settings: dict[str, Any] = {**properties, "group.id": group_id, "error_cb": self._trouble}
        self._consumer = Consumer(settings, logger=quiet_logger())
        self._polling = ThreadPoolExecutor(1, thread_name_prefix="mainstem-kafka-poll")
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._is_in_callback = False
        self._loop = asyncio.get_running_loop()
        self._listener: RebalanceListener | None = None
        self._failure: BaseException | None = None
        self._is_closing = False
        self._gone: set[TopicPartition] = set()
        self._coming: _Coming | None = None

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        if self._protocol is GroupProtocol.COOPERATIVE and len(set(topics)) > 1:
            raise ConfigError(
                "partition.assignment.strategy",
                self._protocol.value,
                f"it is for groups that read one topic, and {self._group_id} reads {', '.join(topics)}, whose partitions "
                "must stay together: use group.protocol=consumer (Kafka 4.0 and later), or leave both out",
            )
        self._listener = listener
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    # In the polling thread: librdkafka calls these while it polls and goes on when they return.

    def _on_assign(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        """The listener hears of it first: where it seeks to is where librdkafka begins, and what it pauses never runs."""
        self._coming = _Coming({}, set())
        self._tell(lambda listener: listener.assigned(_names(partitions)))
        coming, self._coming = self._coming, None
        if self._failure is not None:
            return
        for one in partitions:
            one.offset = coming.starts.get(TopicPartition(one.topic, one.partition), one.offset)
        if self._protocol is GroupProtocol.EAGER:
            consumer.assign(partitions)
        else:
            consumer.incremental_assign(partitions)
        consumer.resume(partitions)  # librdkafka remembers what was paused before
        paused = [one for one in partitions if TopicPartition(one.topic, one.partition) in coming.paused]
        if paused:
            consumer.pause(paused)

    def _on_revoke(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._gone.update(_names(partitions))
        self._tell(lambda listener: listener.revoked(_names(partitions)))

    def _on_lost(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._gone.update(_names(partitions))
        self._tell(lambda listener: listener.lost(_names(partitions)))

    def _tell(self, call: Callable[[RebalanceListener], Coroutine[Any, Any, None]]) -> None:
        if self._is_closing or self._listener is None:
            return
        self._is_in_callback = True
        told = asyncio.run_coroutine_threadsafe(call(self._listener), self._loop)
        told.add_done_callback(self._callback_is_done)
        while (request := self._requests.get()) is not None:
            request.run()
        try:
            told.result()
        except Exception as error:  # raised again by the fetch that is waiting for this thread
            self._failure = self._failure or error

    def _callback_is_done(self, told: Future[None]) -> None:
        self._is_in_callback = False
        self._requests.put(None)

    async def _in_polling_thread(self, work: Callable[[], R]) -> R:
        """After the poll that is under way, or inside the callback if that poll is in one or comes to one: what the callback
        waits for may wait for this."""
        request = _Request(work)
        self._requests.put(request)
        if not self._is_in_callback:
            self._polling.submit(self._answer_requests)
        return cast(R, await asyncio.wrap_future(request.outcome))

    def _answer_requests(self) -> None:
        while True:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return
            if request is not None:
                request.run()

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        messages = await self._loop.run_in_executor(self._polling, self._poll, max_records, max_wait_ms / 1000)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._trouble.fatal is not None:
            raise in_words(self._trouble.fatal, f"the consumer of group {self._group_id} cannot go on")
        return self._in_batches(messages)

    def _poll(self, max_records: int, max_wait_s: float) -> list[Message]:
        """Wait for the first message only; `consume` alone would wait until it has all of them.

        If the partition of the first goes while the others are taken (librdkafka itself drops its own of such partitions), it
        is no longer ours: whoever gets the partition, maybe we again, reads it from the committed offset.
        """
        if self._is_closing:
            return []
        first = self._consumer.poll(max_wait_s)
        if first is None:
            return []
        self._gone.clear()
        more = self._consumer.consume(max_records - 1, 0) if max_records > 1 else []
        messages = cast(list[Message], [first, *more])
        place = TopicPartition(messages[0].topic(), messages[0].partition())
        return messages[1:] if place in self._gone else messages

    def _in_batches(self, messages: Sequence[Message]) -> list[FetchedBatch]:
        records: dict[TopicPartition, list[Message]] = {}
        ends: dict[TopicPartition, int] = {}
        if any(message.error() for message in messages):
            messages = self._without_events(messages, ends)
        for partition, run in runs_of(messages):
            records.setdefault(partition, []).extend(run)
        fetched = [self._batch(partition, found, ends) for partition, found in records.items()]
        fetched += [_at_end(partition, end) for partition, end in ends.items()]
        return fetched

    def _without_events(self, messages: Sequence[Message], ends: dict[TopicPartition, int]) -> Sequence[Message]:
        """The records; the ends of partitions go to `ends`. Raises: TransportError."""
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ends[TopicPartition(message.topic(), message.partition())] = message.offset()
            elif error.code() not in PASSING:
                raise in_words(error, f"group {self._group_id} cannot read {message.topic() or 'its topics'}")
        return records

    def _batch(
        self, partition: TopicPartition, messages: list[Message], ends: dict[TopicPartition, int]
    ) -> FetchedBatch:
        offsets = [message.offset() for message in messages]
        next_offset = max(offsets[-1] + 1, ends.pop(partition, 0))
        known_end = self._consumer.get_watermark_offsets(theirs(partition), cached=True)[1]
        return FetchedBatch(
            partition=partition, batch=columns_of(messages), offsets=offsets, next_offset=next_offset,
            end_offset=max(known_end, next_offset),
        )  # fmt: skip

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        if self._coming is not None:
            self._coming.paused.update(partitions)
            return
        self._now_or_in_callback(lambda: self._consumer.pause([theirs(partition) for partition in partitions]))

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        if self._coming is not None:
            self._coming.paused.difference_update(partitions)
            return
        self._now_or_in_callback(lambda: self._consumer.resume([theirs(partition) for partition in partitions]))

    def _now_or_in_callback(self, work: Callable[[], None]) -> None:
        if not self._is_in_callback:
            work()
            return
        request = _Request(work)
        request.outcome.add_done_callback(self._note_failure)
        self._requests.put(request)

    def _note_failure(self, done: Future[None]) -> None:
        self._failure = self._failure or done.exception()

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self._coming is not None:
            self._coming.starts.update(offsets)
            return

        def work() -> None:
            # Paused partitions too: librdkafka begins there when they are resumed.
            for partition, offset in offsets.items():
                self._consumer.seek(confluent_kafka.TopicPartition(*partition, offset))

        try:
            await self._in_polling_thread(work)
        except KafkaException as error:
            raise in_words(error, f"group {self._group_id} cannot seek") from error

    async def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        asked = [theirs(partition) for partition in partitions]
        try:
            found = await self._in_polling_thread(lambda: self._consumer.committed(asked, timeout=COMMITTED_TIMEOUT_S))
        except KafkaException as error:
            raise in_words(error, f"the offsets of group {self._group_id} cannot be read") from error
        for one in found:
            if one.error is not None:
                raise in_words(one.error, f"the offset of {one.topic}-{one.partition} cannot be read")
        return {
            TopicPartition(one.topic, one.partition): Committed(one.offset, one.metadata or "")
            for one in found
            if one.offset >= 0
        }

    async def group_metadata(self) -> Any:
        """What fences a transaction's offsets by membership (KIP-447)."""
        return await self._in_polling_thread(self._consumer.consumer_group_metadata)

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        theirs = committed_offsets(offsets)
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


def committed_offsets(offsets: Mapping[TopicPartition, Committed]) -> list[confluent_kafka.TopicPartition]:
    return [
        confluent_kafka.TopicPartition(partition.topic, partition.partition, one.offset, one.metadata)
        for partition, one in offsets.items()
    ]


def _at_end(partition: TopicPartition, end: int) -> FetchedBatch:
    nothing = Batch(keys=[], values=[], timestamps=[])
    return FetchedBatch(partition=partition, batch=nothing, offsets=[], next_offset=end, end_offset=end)


def _names(partitions: Sequence[confluent_kafka.TopicPartition]) -> list[TopicPartition]:
    return [TopicPartition(one.topic, one.partition) for one in partitions]
