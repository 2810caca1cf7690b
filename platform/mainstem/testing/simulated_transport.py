"""Topics and consumer groups in memory that survive the process that uses them, and can end it at every call.

`SimulatedTopics` is what a broker would hold. Each `SimulatedTransport` is one process: what it produced and did not
flush is lost with it, up to a prefix that had arrived by chance. `step` is called before every operation; raising from
it is a crash. It passes `testing.conformance.transports`, as the real transports do.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mainstem.api.batch import Batch
from mainstem.api.transport import FetchedBatch, RebalanceListener, TransportError
from mainstem.model.columns import Columns
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import topic_name_problem

Step = Callable[[str], None]


def no_step(name: str) -> None:
    """Never crashes."""


@dataclass(slots=True)
class _Group:
    """Members join when they fetch; once all have joined, everything is given out anew."""

    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    members: list[SimulatedConsumer] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)


class SimulatedTopics:
    """The durable world. `seed` decides how much of what was not flushed arrived nevertheless."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.logs: dict[TopicPartition, Columns] = {}
        self.counts: dict[str, int] = {}
        self.groups: dict[str, _Group] = {}

    def create(self, topic: str, partitions: int) -> None:
        if topic not in self.counts:
            self.counts[topic] = partitions
            for number in range(partitions):
                self.logs[TopicPartition(topic, number)] = Columns(
                    offsets=[], timestamps=[], keys=[], values=[], headers=[]
                )

    def append(self, partition: TopicPartition, batch: Batch) -> None:
        log = self.logs[partition]
        log.offsets.extend(range(len(log), len(log) + len(batch)))
        log.timestamps.extend(batch.timestamps)
        log.keys.extend(batch.keys)
        log.values.extend(batch.values)
        log.headers.extend(batch.headers if batch.headers is not None else [()] * len(batch))

    def values(self, topic: str) -> list[bytes | None]:
        """Of all partitions, one after the other."""
        return [
            value for number in range(self.counts[topic]) for value in self.logs[TopicPartition(topic, number)].values
        ]

    def committed(self, group_id: str) -> Mapping[TopicPartition, int]:
        return self.groups.setdefault(group_id, _Group()).offsets

    def crash(self) -> None:
        """Every process is gone."""
        for group in self.groups.values():
            group.members.clear()
            group.waiting.clear()


class SimulatedTransport:
    """One process's way to the topics. See `api.transport.Transport`."""

    def __init__(self, topics: SimulatedTopics, *, step: Step = no_step) -> None:
        self.topics = topics
        self._step = step
        self.consumers: list[SimulatedConsumer] = []

    async def open(self) -> None:
        self._step("transport.open")

    async def partition_count(self, topic: str) -> int | None:
        return self.topics.counts.get(topic)

    async def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        self._step("transport.create_topic")
        problem = topic_name_problem(topic)
        if problem is not None:
            raise TransportError(problem)
        self.topics.create(topic, partitions)

    async def end_offsets(self, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
        self._known(topic)
        partitions = [TopicPartition(topic, number) for number in range(self.topics.counts[topic])]
        return {partition: (0, len(self.topics.logs[partition])) for partition in partitions}

    async def read(self, partition: TopicPartition, offset: int, *, max_records: int, max_wait_ms: int) -> FetchedBatch:
        self._step("transport.read")
        self._known(partition.topic)
        return self.fetched(partition, offset, max_records)

    def fetched(self, partition: TopicPartition, offset: int, max_records: int) -> FetchedBatch:
        log = self.topics.logs[partition]
        end = min(offset + max_records, len(log))
        batch = Batch(
            keys=log.keys[offset:end],
            values=log.values[offset:end],
            timestamps=log.timestamps[offset:end],
            headers=log.headers[offset:end] if any(log.headers[offset:end]) else None,
        )
        return FetchedBatch(
            partition=partition,
            batch=batch,
            offsets=log.offsets[offset:end],
            next_offset=max(offset, end),
            end_offset=len(log),
        )

    def consumer(self, group_id: str, *, from_latest: bool = False) -> SimulatedConsumer:
        self.consumers.append(SimulatedConsumer(self, group_id, self._step, from_latest=from_latest))
        return self.consumers[-1]

    def producer(self) -> SimulatedProducer:
        return SimulatedProducer(self.topics, self._step)

    async def close(self) -> None:
        pass

    def _known(self, topic: str) -> None:
        if topic not in self.topics.counts:
            raise TransportError(f"topic {topic} does not exist")


class SimulatedProducer:
    def __init__(self, topics: SimulatedTopics, step: Step) -> None:
        self._topics = topics
        self._step = step
        self._pending: list[tuple[TopicPartition, Batch]] = []

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        if partition not in self._topics.logs:
            raise TransportError(f"{partition} does not exist")
        self._pending.append((partition, batch))
        try:
            self._step("producer.produce")
        except BaseException:
            self._arrive(self._topics.random.randrange(len(self._pending) + 1))
            raise

    async def flush(self) -> None:
        try:
            self._step("producer.flush")
        except BaseException:
            self._arrive(self._topics.random.randrange(len(self._pending) + 1))
            raise
        self._arrive(len(self._pending))
        self._step("producer.flushed")

    def _arrive(self, count: int) -> None:
        for partition, batch in self._pending[:count]:
            self._topics.append(partition, batch)
        del self._pending[:count]

    async def close(self) -> None:
        self._pending.clear()


class SimulatedConsumer:
    def __init__(self, transport: SimulatedTransport, group_id: str, step: Step, *, from_latest: bool) -> None:
        self._transport = transport
        self._group = transport.topics.groups.setdefault(group_id, _Group())
        self._step = step
        self._from_latest = from_latest
        self._listener: RebalanceListener | None = None
        self.topics: tuple[str, ...] = ()
        self.given: list[TopicPartition] | None = None
        self._assigned: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._told_end: dict[TopicPartition, int] = {}

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        self._step("consumer.subscribe")
        self.topics = tuple(topics)
        self._listener = listener
        self._group.members.append(self)
        self._rebalance()

    def _rebalance(self) -> None:
        """Everybody has to join again before anybody is given something."""
        self._group.waiting = {id(member) for member in self._group.members}
        for member in self._group.members:
            member.given = None

    async def _join(self) -> None:
        assert self._listener is not None, "subscribed before it fetches"
        group = self._group
        if id(self) in group.waiting:
            if self._assigned:
                revoked = list(self._assigned)
                await self._listener.revoked(revoked)
                self._assigned.clear()
                self._paused.clear()
            group.waiting.discard(id(self))
            if not group.waiting:
                self._give_out()
        if self.given is not None:
            given, self.given = self.given, None
            self._told_end.clear()
            for partition in given:
                end = len(self._transport.topics.logs[partition])
                self._assigned[partition] = group.offsets.get(partition, end if self._from_latest else 0)
            await self._listener.assigned(given)

    def _give_out(self) -> None:
        members = self._group.members
        counts = self._transport.topics.counts
        wanted = sorted({topic for member in members for topic in member.topics})
        partitions = [TopicPartition(topic, number) for topic in wanted for number in range(counts[topic])]
        for place, member in enumerate(members):
            member.given = partitions[place :: len(members)]

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        self._step("consumer.fetch")
        await self._join()
        await asyncio.sleep(0)
        fetched = []
        for partition, offset in list(self._assigned.items()):
            if partition in self._paused:
                continue
            one = self._transport.fetched(partition, offset, max_records)
            if len(one.batch) or (one.next_offset == one.end_offset != self._told_end.get(partition)):
                self._assigned[partition] = one.next_offset
                if one.next_offset == one.end_offset:
                    self._told_end[partition] = one.end_offset
                fetched.append(one)
        return fetched

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._step("consumer.commit")
        if not set(offsets) <= set(self._assigned):
            raise TransportError(f"{sorted(set(offsets) - set(self._assigned))} belong to another member")
        self._group.offsets.update(offsets)
        self._step("consumer.committed")

    async def close(self) -> None:
        if self in self._group.members:
            self._group.members.remove(self)
            self._assigned.clear()
            self._rebalance()
