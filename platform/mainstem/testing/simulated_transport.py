"""Topics and consumer groups in memory that survive the process that uses them, and can end it at every call.

`SimulatedTopics` is what a broker would hold. Each `SimulatedTransport` is one process: what it produced and did not
flush is lost with it, up to a prefix that had arrived by chance. `step` is called before every operation; raising from
it is a crash. Records of a transaction arrive all at once with its commit. It passes `testing.conformance.transports`, as the
real transports do.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from mainstem.api.batch import Batch
from mainstem.api.transport import FetchedBatch, TransportError, TransportTraits
from mainstem.model.columns import Columns
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import topic_name_problem
from mainstem.testing.simulated_consumer import SimulatedConsumer, SimulatedGroup
from mainstem.testing.simulated_producer import SimulatedProducer, SimulatedTransactions

Step = Callable[[str], None]


def no_step(name: str) -> None:
    """Never crashes."""


class SimulatedTopics:
    """The durable world. `seed` decides how much of what was not flushed arrived nevertheless."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.logs: dict[TopicPartition, Columns] = {}
        self.starts: dict[TopicPartition, int] = {}
        self.ends: dict[TopicPartition, int] = {}
        self.counts: dict[str, int] = {}
        self.groups: dict[str, SimulatedGroup] = {}
        self.epochs: dict[str, int] = {}

    def create(self, topic: str, partitions: int) -> None:
        if topic not in self.counts:
            self.counts[topic] = partitions
            for number in range(partitions):
                self.logs[TopicPartition(topic, number)] = Columns(
                    offsets=[], timestamps=[], keys=[], values=[], headers=[]
                )

    def delete(self, topic: str) -> None:
        for number in range(self.counts.pop(topic, 0)):
            del self.logs[TopicPartition(topic, number)]
            self.starts.pop(TopicPartition(topic, number), None)
            self.ends.pop(TopicPartition(topic, number), None)

    def append(self, partition: TopicPartition, batch: Batch) -> None:
        log, end = self.logs[partition], self.ends.get(partition, 0)
        log.offsets.extend(range(end, end + len(batch)))
        self.ends[partition] = end + len(batch)
        log.timestamps.extend(batch.timestamps)
        log.keys.extend(batch.keys)
        log.values.extend(batch.values)
        log.headers.extend(batch.headers if batch.headers is not None else [()] * len(batch))

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        log = self.logs[partition]
        log.drop_first(bisect_left(log.offsets, offset))
        self.starts[partition] = max(self.starts.get(partition, 0), offset)

    def compact(self, partition: TopicPartition, below: int) -> None:
        """Of each key keep only the last record below this offset, as a cleaner would; null values stay, as they do for
        `delete.retention.ms`."""
        log = self.logs[partition]
        places = range(bisect_left(log.offsets, below))
        last = {log.keys[place]: place for place in places}
        gone = {place for place in places if last[log.keys[place]] != place}
        kept = [place for place in range(len(log)) if place not in gone]
        self.logs[partition] = Columns(
            offsets=[log.offsets[place] for place in kept],
            timestamps=[log.timestamps[place] for place in kept],
            keys=[log.keys[place] for place in kept],
            values=[log.values[place] for place in kept],
            headers=[log.headers[place] for place in kept],
        )

    def group(self, group_id: str) -> SimulatedGroup:
        return self.groups.setdefault(group_id, SimulatedGroup(self.counts))

    def values(self, topic: str) -> list[bytes | None]:
        """Of all partitions, one after the other."""
        return [
            value for number in range(self.counts[topic]) for value in self.logs[TopicPartition(topic, number)].values
        ]

    def committed(self, group_id: str) -> Mapping[TopicPartition, int]:
        return {partition: committed.offset for partition, committed in self.group(group_id).offsets.items()}

    def crash(self) -> None:
        """Every process is gone."""
        for group in self.groups.values():
            group.crash()


class SimulatedTransport:
    """One process's way to the topics. See `api.transport.Transport`."""

    traits = TransportTraits(has_groups=True, transactions="v2", is_durable=True, is_dense=True, compacts=False)

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

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        self._step("transport.delete_records")
        for partition, offset in before.items():
            self._partitions(partition.topic)
            if not 0 <= offset <= self._end_of(partition):
                raise TransportError(f"{partition} cannot be cut at offset {offset}")
            self.topics.delete_before(partition, offset)

    async def delete_topic(self, topic: str) -> None:
        self.topics.delete(topic)

    async def end_offsets(self, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
        starts = self.topics.starts
        return {one: (starts.get(one, 0), self._end_of(one)) for one in self._partitions(topic)}

    async def offsets_for_time(self, topic: str, timestamp: int) -> Mapping[TopicPartition, int]:
        found = {}
        for partition in self._partitions(topic):
            log, end = self.topics.logs[partition], self._end_of(partition)
            found[partition] = next(
                (at for at, time in zip(log.offsets, log.timestamps, strict=True) if time >= timestamp), end
            )
        return found

    async def group_offsets(self, group_id: str) -> Mapping[TopicPartition, int]:
        return self.topics.committed(group_id)

    async def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        self.topics.group(group_id).set_offsets(group_id, offsets)

    async def read(self, partition: TopicPartition, offset: int, *, max_records: int, max_wait_ms: int) -> FetchedBatch:
        self._step("transport.read")
        self._partitions(partition.topic)
        return self.fetched(partition, offset, max_records)

    def fetched(self, partition: TopicPartition, offset: int, max_records: int) -> FetchedBatch:
        log, log_end = self.topics.logs[partition], self._end_of(partition)
        first = bisect_left(log.offsets, offset)
        end = min(first + max_records, len(log))
        batch = Batch(
            keys=log.keys[first:end],
            values=log.values[first:end],
            timestamps=log.timestamps[first:end],
            headers=log.headers[first:end] if any(log.headers[first:end]) else None,
        )
        return FetchedBatch(
            partition=partition,
            batch=batch,
            offsets=log.offsets[first:end],
            next_offset=log_end if end == len(log) else log.offsets[end - 1] + 1,
            end_offset=log_end,
        )

    def consumer(self, group_id: str, *, from_latest: bool = False) -> SimulatedConsumer:
        group = self.topics.group(group_id)
        self.consumers.append(
            SimulatedConsumer(group, self.fetched, self._end_of, self._step, group_id=group_id, from_latest=from_latest)
        )
        return self.consumers[-1]

    def _end_of(self, partition: TopicPartition) -> int:
        return self.topics.ends.get(partition, 0)

    def producer(self) -> SimulatedProducer:
        return SimulatedProducer(self.topics, self._step)

    def transactional_producer(self, transactional_id: str) -> SimulatedTransactions:
        return SimulatedTransactions(self.topics, transactional_id, self._step)

    async def close(self) -> None:
        pass

    def _partitions(self, topic: str) -> Sequence[TopicPartition]:
        if topic not in self.topics.counts:
            raise TransportError(f"topic {topic} does not exist")
        return [TopicPartition(topic, number) for number in range(self.topics.counts[topic])]
