"""One user's way to topics in memory. See `api.transport.Transport`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mainstem.api.context import PluginContext
from mainstem.api.transport import FetchedBatch, TransportError, TransportTraits
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import topic_name_problem
from mainstem_plugins.transport_memory import MemoryConfig
from mainstem_plugins.transport_memory.consumer import MemoryConsumer
from mainstem_plugins.transport_memory.producer import MemoryProducer, MemoryTransactions
from mainstem_plugins.transport_memory.topics import MemoryTopics


class MemoryTransport:
    traits = TransportTraits(has_groups=True, transactions="v2", is_durable=False, is_dense=True, compacts=True)

    def __init__(self, config: MemoryConfig, context: PluginContext, topics: MemoryTopics) -> None:
        self._config = config
        self._clock = context.clock
        self._topics = topics

    async def open(self) -> None:
        pass

    async def partition_count(self, topic: str) -> int | None:
        return self._topics.counts.get(topic)

    async def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        problem = topic_name_problem(topic)
        if problem is not None:
            raise TransportError(problem)
        self._topics.create(topic, partitions, configs)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        for partition, offset in before.items():
            self._topics.log(partition).delete_before(partition, offset)

    async def delete_topic(self, topic: str) -> None:
        self._topics.delete(topic)

    async def end_offsets(self, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
        logs = {one: self._topics.log(one) for one in self._topics.partitions(topic)}
        return {one: (log.start, log.end) for one, log in logs.items()}

    async def offsets_for_time(self, topic: str, timestamp: int) -> Mapping[TopicPartition, int]:
        return {one: self._topics.log(one).offset_for_time(timestamp) for one in self._topics.partitions(topic)}

    async def group_offsets(self, group_id: str) -> Mapping[TopicPartition, int]:
        group = self._topics.groups.get(group_id)
        return {} if group is None else {partition: one.offset for partition, one in group.offsets.items()}

    async def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._topics.group(group_id).move(offsets)

    async def read(self, partition: TopicPartition, offset: int, *, max_records: int, max_wait_ms: int) -> FetchedBatch:
        one = self._topics.fetched(partition, offset, max_records)
        if one.next_offset > offset or not max_wait_ms:
            return one
        try:
            async with asyncio.timeout(max_wait_ms / 1000):
                while self._topics.log(partition).end == offset:
                    await self._topics.changed()
        except TimeoutError:
            return one
        return self._topics.fetched(partition, offset, max_records)

    def consumer(self, group_id: str, *, from_latest: bool = False) -> MemoryConsumer:
        return MemoryConsumer(self._config, self._clock, self._topics, group_id, from_latest=from_latest)

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self._topics, self._clock)

    def transactional_producer(self, transactional_id: str) -> MemoryTransactions:
        return MemoryTransactions(self._topics, self._clock, transactional_id)

    async def close(self) -> None:
        pass
