"""Faust's producer over a transport of pipelines: records wait as columns of their partition until a round takes them all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from aiokafka.partitioner import DefaultPartitioner
from faust.transport.producer import Producer as FaustProducer
from faust.types import TP, PendingMessage, RecordMetadata
from mode import Service

from mainstem.api.transport import AppendingProducer, TransportError
from mainstem.faust.sending import Appender, Outgoing
from mainstem.faust.topics import TopicCounts, topic_configs

ROOM_RECORDS = 16_384
CACHED_KEYS_MAX = 100_000


class Producer(FaustProducer):
    """`post` is what everything ends in. One round at a time, so records of a partition keep their order."""

    def __post_init__(self) -> None:
        self.partitioner = self.partitioner or DefaultPartitioner()
        self.counts: TopicCounts = self.transport.counts  # type: ignore[attr-defined]
        self.outgoing: dict[TP, Outgoing] = {}
        self.waiting_records = 0
        self._appender: Appender | None = None
        self._wake = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._has_stopped = asyncio.Event()
        self._partition_of_key: dict[tuple[str, bytes], int] = {}

    def create_threaded_producer(self) -> None:
        """`producer_threaded` needs no thread here: sending never waits for a socket on this loop."""

    async def on_start(self) -> None:
        await super().on_start()
        await self.transport.acquire()  # type: ignore[attr-defined]
        if not self.app.in_transaction:
            made: AppendingProducer = self.transport.session.transport.producer()  # type: ignore[attr-defined]
            self.use(Appender(made))

    def use(self, appender: Appender | None) -> None:
        """Of a transaction, or None between two of them: records wait for the next one."""
        self._appender = appender
        self._wake.set()

    async def detach(self) -> None:
        """Everything handed over so far is in the transaction, and nothing more comes into it. Raises: TransportError."""
        await self.flush()
        while self.waiting_records:
            await self.flush()
        self.use(None)

    @property
    def has_transaction(self) -> bool:
        return self._appender is not None

    async def on_stop(self) -> None:
        try:
            await self.flush()
        finally:
            self._wake.set()
            await self._has_stopped.wait()
            if self._appender is not None and not self.app.in_transaction:
                await self._appender.close()
                self._appender = None
            await self.transport.release()  # type: ignore[attr-defined]

    async def on_restart(self) -> None:
        self._has_stopped.clear()

    # Sending

    def post(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        listener: Any = None,
    ) -> int:
        """Hand a record over; returns its partition. `listener.set_result` gets the RecordMetadata, one loop turn later at the
        earliest, so that whoever calls this has written its own state by then. Timestamps in seconds.
        """
        if partition is None:
            partition = self._choose(topic, key)
        tp = TP(topic, partition)
        lot = self.outgoing.get(tp)
        if lot is None:
            lot = self.outgoing[tp] = Outgoing()
        lot.add(key, value, int((time.time() if timestamp is None else timestamp) * 1000), headers, listener)
        self.waiting_records += 1
        if self.waiting_records == 1:
            self._is_idle.clear()
            self._wake.set()
        elif self.waiting_records == ROOM_RECORDS:
            self._has_room.clear()
        return partition

    def post_telling_sensors(
        self,
        channel: Any,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        listener: Any = None,
    ) -> int:
        """As `post`, for an app with sensors that want to hear of each record."""
        message = PendingMessage(channel, key, value, partition, timestamp, headers, None, None, None, topic=topic)
        sensors = self.app.sensors
        state = sensors.on_send_initiated(self, topic, message, len(key or b""), len(value or b""))
        told = ToldListener(self, state, listener)
        return self.post(topic, key, value, partition, timestamp, headers, told)

    def _choose(self, topic: str, key: bytes | None) -> int:
        known = self._partition_of_key
        if key is not None:
            found = known.get((topic, key))
            if found is not None:
                return found
        chosen = self._ask_partitioner(topic, key)
        if key is not None:
            if len(known) >= CACHED_KEYS_MAX:
                known.clear()
            known[topic, key] = chosen
        return chosen

    def _ask_partitioner(self, topic: str, key: bytes | None) -> int:
        every = self.counts.partitions(topic)
        chosen: Any = self.partitioner
        return int(chosen(key, every, every))

    def key_partition(self, topic: str, key: bytes) -> TP:
        return TP(topic, self._choose(topic, key))

    async def wait_for_room(self) -> None:
        if self.waiting_records >= ROOM_RECORDS:
            await self._has_room.wait()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Any:
        """A future of the record's metadata."""
        await self.know(topic)
        await self.wait_for_room()
        sent: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self.post(topic, key, value, partition, timestamp, headers, sent)
        return sent

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> RecordMetadata:
        sent = await self.send(*args, **kwargs)
        return await sent  # type: ignore[no-any-return]

    async def know(self, topic: str) -> None:
        """How many partitions it has; a topic that nobody declared is created."""
        if self.counts.known(topic) is None:
            await self.counts.ensure([topic])

    def send_soon(self, fut: Any) -> None:
        """Without waiting, from plain functions. The topic of a `FutureMessage` may not be known yet."""
        message = fut.message
        topic = message.channel.get_topic_name()
        if message.partition is None and self.counts.known(topic) is None:
            self.add_future(self._send_when_known(topic, fut))
        else:
            self._send_message(topic, fut)

    async def _send_when_known(self, topic: str, fut: Any) -> None:
        await self.know(topic)
        self._send_message(topic, fut)

    def _send_message(self, topic: str, fut: Any) -> None:
        message = fut.message
        record = topic, message.key, message.value, message.partition, message.timestamp, message.headers
        self.post_telling_sensors(message.channel, *record, _Promise(fut))

    @Service.task
    async def _sending(self) -> None:
        try:
            while not self.should_stop or self.outgoing:
                await self._wake.wait()
                self._wake.clear()
                while self.outgoing and self._appender is not None:
                    await self._send_round(self._appender)
                if self._appender is None and self.should_stop:
                    return  # what no transaction took was never promised to anybody
        finally:
            self._has_stopped.set()
            self._has_room.set()
            self._is_idle.set()

    async def _send_round(self, appender: Appender) -> None:
        taken, self.outgoing = self.outgoing, {}
        await appender.append(taken)
        self.waiting_records -= sum(len(lot) for lot in taken.values())
        if self.waiting_records < ROOM_RECORDS:
            self._has_room.set()
        if not self.outgoing:
            self._is_idle.set()

    async def flush(self) -> None:
        """Everything that was handed over is acknowledged by the broker.

        Raises: TransportError for the first record that was not. Whoever commits positions then does not: what was read is
        processed again after a restart, and nothing is lost.
        """
        await self.buffer.flush()
        if self._appender is None:
            return  # no transaction is open: what waits is sent in the next one
        if self.outgoing or not self._is_idle.is_set():
            self._wake.set()
            await self._is_idle.wait()
        if self.waiting_records and self._has_stopped.is_set():
            raise TransportError(f"the producer has ended with {self.waiting_records} records in hand")
        if self._appender is not None:
            await self._appender.flush()

    # Topics

    async def create_topic(
        self,
        topic: str,
        partitions: int,
        replication: int,
        *,
        config: Mapping[str, Any] | None = None,
        timeout: Any = 1000.0,  # noqa: ASYNC109 - Faust's name; the transport has a timeout of its own
        retention: Any = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        ensure_created: bool = False,
    ) -> None:
        configs = topic_configs(config, compacting=compacting, deleting=deleting, retention=retention)
        await self.counts.create(topic, partitions, configs)

    def supports_headers(self) -> bool:
        return True


class ToldListener:
    """Tells the sensors what became of a record, and then whoever else listens."""

    __slots__ = ("listener", "producer", "state")

    def __init__(self, producer: Any, state: Any, listener: Any) -> None:
        self.producer, self.state, self.listener = producer, state, listener

    def set_result(self, metadata: RecordMetadata) -> None:
        if self.listener is not None and not self.listener.done():
            self.listener.set_result(metadata)
        self.producer.app.sensors.on_send_completed(self.producer, self.state, metadata)

    def set_exception(self, error: BaseException) -> None:
        if self.listener is not None and not self.listener.done():
            self.listener.set_exception(error)
        self.producer.app.sensors.on_send_error(self.producer, error, self.state)

    def done(self) -> bool:
        return False


class _Promise:
    """Resolves a `FutureMessage` and calls its callback, as Faust's topics do."""

    __slots__ = ("fut",)

    def __init__(self, fut: Any) -> None:
        self.fut = fut

    def set_result(self, metadata: RecordMetadata) -> None:
        self.fut.set_result(metadata)
        if self.fut.message.callback:
            self.fut.message.callback(self.fut)

    def set_exception(self, error: BaseException) -> None:
        self.fut.set_exception(error)

    def done(self) -> bool:
        return bool(self.fut.done())
