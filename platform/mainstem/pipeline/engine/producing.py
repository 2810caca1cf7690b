"""What a worker writes with: one producer for sinks, repartition topics, changelogs and dead letters, so that one checkpoint
covers all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from mainstem.api.batch import Batch
from mainstem.api.transport import Committed, TransactionalProducer, Transport, TransportConsumer, TransportProducer
from mainstem.model.ids import TopicPartition

Offsets = Callable[[], Mapping[TopicPartition, Committed]]


class WorkerProducer(Protocol):
    @property
    def is_atomic(self) -> bool:
        """A commit takes everything along that was produced, so half of a task's work must not be there then."""

    async def open(self) -> None: ...

    async def produce(self, partition: TopicPartition, batch: Batch) -> None: ...

    async def flush(self) -> None:
        """What was produced has arrived; others see it now or with the commit."""

    async def commit(self, offsets: Offsets, consumer: TransportConsumer | None) -> None:
        """Everything produced so far, and then (or together with it) the offsets, which are asked for when everything else
        has arrived. Raises: NotMember, TransportError."""

    async def abort(self) -> None:
        """Forget what was produced since the last commit, as far as the guarantee goes."""

    async def close(self) -> None: ...


class AtLeastOnce:
    """First everything is written, then the offsets are; a crash in between repeats."""

    is_atomic = False

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._producer: TransportProducer | None = None

    async def open(self) -> None:
        self._producer = self._transport.producer()

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        assert self._producer is not None, "opened before use"
        await self._producer.produce(partition, batch)

    async def flush(self) -> None:
        if self._producer is not None:
            await self._producer.flush()

    async def commit(self, offsets: Offsets, consumer: TransportConsumer | None) -> None:
        await self.flush()
        if consumer is not None and (found := offsets()):
            await consumer.commit(found)

    async def abort(self) -> None:
        pass

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.close()


class ExactlyOnce:
    """Records and offsets become visible in one transaction (KIP-98), fenced by the consumer's membership (KIP-447)."""

    is_atomic = True

    def __init__(self, transport: Transport, transactional_id: str) -> None:
        self._transport = transport
        self._id = transactional_id
        self._producer: TransactionalProducer | None = None
        self._has_begun = False

    async def open(self) -> None:
        self._producer = self._transport.transactional_producer(self._id)
        await self._producer.open()

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        producer = await self._begun()
        await producer.produce(partition, batch)

    async def _begun(self) -> TransactionalProducer:
        assert self._producer is not None, "opened before use"
        if not self._has_begun:
            await self._producer.begin()
            self._has_begun = True
        return self._producer

    async def flush(self) -> None:
        if self._producer is not None and self._has_begun:
            await self._producer.flush()

    async def commit(self, offsets: Offsets, consumer: TransportConsumer | None) -> None:
        found = offsets()
        if consumer is None or not (self._has_begun or found):
            return
        producer = await self._begun()
        await producer.commit(found, consumer)
        self._has_begun = False

    async def abort(self) -> None:
        if self._has_begun and self._producer is not None:
            self._has_begun = False
            await self._producer.abort()

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.close()
