"""Producers of the simulated transport: at least once, and in transactions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from mainstem.api.batch import Batch
from mainstem.api.transport import Committed, Fenced, TransportConsumer, TransportError
from mainstem.model.columns import Columns
from mainstem.model.ids import TopicPartition
from mainstem.testing.simulated_consumer import SimulatedConsumer


class World(Protocol):
    """`SimulatedTopics`."""

    random: random.Random
    logs: dict[TopicPartition, Columns]
    epochs: dict[str, int]

    def append(self, partition: TopicPartition, batch: Batch) -> None: ...


class _Handed:
    """Records that were handed over and have not arrived."""

    __slots__ = ("batch", "partition")

    def __init__(self, partition: TopicPartition, batch: Batch) -> None:
        self.partition = partition
        self.batch = batch


class SimulatedProducer:
    def __init__(self, topics: World, step: Callable[[str], None]) -> None:
        self._topics = topics
        self._step = step
        self._pending: list[_Handed] = []

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        if partition not in self._topics.logs:
            raise TransportError(f"{partition} does not exist")
        self._pending.append(_Handed(partition, batch))
        try:
            self._step("producer.produce")
        except BaseException:
            self._arrive(self._topics.random.randrange(len(self._pending) + 1))
            raise

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        await self.produce(partition, batch)
        await self.flush()
        end = self._topics.logs[partition].offsets[-1] + 1
        return range(end - len(batch), end)

    async def flush(self) -> None:
        """Takes a while sometimes, and does not wait for what is handed over meanwhile."""
        last = self._pending[-1] if self._pending else None
        for _ in range(self._topics.random.choice([0, 0, 1, 5, 20])):
            await asyncio.sleep(0)
        try:
            self._step("producer.flush")
        except BaseException:
            self._arrive(self._topics.random.randrange(len(self._pending) + 1))
            raise
        if last in self._pending:
            self._arrive(self._pending.index(last) + 1)
        self._step("producer.flushed")

    def _arrive(self, count: int) -> None:
        for handed in self._pending[:count]:
            self._topics.append(handed.partition, handed.batch)
        del self._pending[:count]

    async def close(self) -> None:
        self._pending.clear()


class SimulatedTransactions:
    """What is produced arrives when the transaction commits, together with the offsets."""

    def __init__(self, topics: World, transactional_id: str, step: Callable[[str], None]) -> None:
        self._topics = topics
        self._id = transactional_id
        self._step = step
        self._epoch = -1
        self._pending: list[_Handed] | None = None

    async def open(self) -> None:
        self._step("transactions.open")
        self._epoch = self._topics.epochs[self._id] = self._topics.epochs.get(self._id, -1) + 1

    def _check(self) -> None:
        if self._topics.epochs.get(self._id) != self._epoch:
            raise Fenced(f"another producer uses transactional id {self._id}")

    async def begin(self) -> None:
        self._check()
        if self._pending is not None:
            raise TransportError("a transaction is open already")
        self._pending = []

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        self._step("transactions.produce")
        self._check()
        if self._pending is None:
            raise TransportError("no transaction has begun")
        if partition not in self._topics.logs:
            raise TransportError(f"{partition} does not exist")
        self._pending.append(_Handed(partition, batch))

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        await self.produce(partition, batch)
        return None

    async def flush(self) -> None:
        self._step("transactions.flush")
        self._check()

    async def commit(self, offsets: Mapping[TopicPartition, Committed], consumer: TransportConsumer) -> None:
        self._step("transactions.commit")
        self._check()
        if self._pending is None:
            raise TransportError("no transaction has begun")
        assert isinstance(consumer, SimulatedConsumer), "a consumer of this transport"
        if offsets:
            consumer.store(offsets)
        for handed in self._pending:
            self._topics.append(handed.partition, handed.batch)
        self._pending = None
        self._step("transactions.committed")

    async def abort(self) -> None:
        self._step("transactions.abort")
        self._pending = None
        self._check()

    async def close(self) -> None:
        self._pending = None
