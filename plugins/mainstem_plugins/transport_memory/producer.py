"""Producers of topics in memory: records arrive at once, those of a transaction with its commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mainstem.api.batch import Batch
from mainstem.api.context import Clock
from mainstem.api.transport import Committed, Fenced, TransportConsumer, TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_memory.consumer import MemoryConsumer
from mainstem_plugins.transport_memory.topics import MemoryTopics


class MemoryProducer:
    def __init__(self, topics: MemoryTopics, clock: Clock) -> None:
        self._topics = topics
        self._clock = clock

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        self._topics.append(partition, batch, self._clock.monotonic_ms())

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        self._topics.append(partition, batch, self._clock.monotonic_ms())
        end = self._topics.log(partition).end
        return range(end - len(batch), end)

    async def flush(self) -> None:
        """Everything has arrived already."""

    async def close(self) -> None:
        pass


class _Pending(msgspec.Struct, frozen=True):
    partition: TopicPartition
    batch: Batch


class MemoryTransactions:
    """Holds what is produced until `commit`, so that nobody can read it before."""

    def __init__(self, topics: MemoryTopics, clock: Clock, transactional_id: str) -> None:
        self._topics = topics
        self._clock = clock
        self._id = transactional_id
        self._epoch = -1
        self._pending: list[_Pending] | None = None

    async def open(self) -> None:
        self._epoch = self._topics.epochs[self._id] = self._topics.epochs.get(self._id, -1) + 1
        self._pending = None

    def _check(self) -> None:
        if self._topics.epochs.get(self._id) != self._epoch:
            raise Fenced(f"another producer uses transactional id {self._id}")

    async def begin(self) -> None:
        self._check()
        if self._pending is not None:
            raise TransportError("a transaction is open already")
        self._pending = []

    def _open_transaction(self) -> list[_Pending]:
        self._check()
        if self._pending is None:
            raise TransportError("no transaction has begun")
        return self._pending

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        pending = self._open_transaction()
        self._topics.log(partition).check(partition, batch)
        pending.append(_Pending(partition, batch))

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        await self.produce(partition, batch)
        return None

    async def flush(self) -> None:
        self._check()

    async def commit(self, offsets: Mapping[TopicPartition, Committed], consumer: TransportConsumer) -> None:
        pending = self._open_transaction()
        assert isinstance(consumer, MemoryConsumer), "a consumer of this transport"
        for one in pending:
            self._topics.log(one.partition)  # a topic that was deleted meanwhile is told before anything is done
        if offsets:
            consumer.store(offsets)
        for one in pending:
            self._topics.append(one.partition, one.batch, self._clock.monotonic_ms())
        self._pending = None

    async def abort(self) -> None:
        self._pending = None
        self._check()

    async def close(self) -> None:
        self._pending = None
