"""What everything that opens the same `memory://name` shares: topics, groups, owners of transactional ids.

Used from one event loop at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mainstem.api.batch import Batch
from mainstem.api.transport import FetchedBatch, TransportError
from mainstem.api.transport_rules import cleanup_policy
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_memory.group import MemoryGroup
from mainstem_plugins.transport_memory.log import MemoryLog

DELETE_RETENTION_MS = 86_400_000


class MemoryTopics:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.groups: dict[str, MemoryGroup] = {}
        self.epochs: dict[str, int] = {}
        self._logs: dict[TopicPartition, MemoryLog] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    def create(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        """Raises: TransportError. Configs that mean something here: `cleanup.policy`, `delete.retention.ms`."""
        if partitions < 1:
            raise TransportError(f"topic {topic} cannot be created: partitions is {partitions}, at least 1 is needed")
        policy = cleanup_policy(topic, configs)
        retention = configs.get("delete.retention.ms", str(DELETE_RETENTION_MS))
        if not retention.isdecimal():
            raise TransportError(f"topic {topic} cannot be created: delete.retention.ms {retention!r} is no number")
        if topic not in self.counts:
            self.counts[topic] = partitions
            for number in range(partitions):
                self._logs[TopicPartition(topic, number)] = MemoryLog(
                    is_compacted="compact" in policy, delete_retention_ms=int(retention)
                )
            self.wake()

    def delete(self, topic: str) -> None:
        for number in range(self.counts.pop(topic, 0)):
            partition = TopicPartition(topic, number)
            del self._logs[partition]
            for group in self.groups.values():
                group.offsets.pop(partition, None)
        for group in self.groups.values():
            group.version += 1
        self.wake()

    def partitions(self, topic: str) -> list[TopicPartition]:
        """Raises: TransportError."""
        if topic not in self.counts:
            raise TransportError(f"topic {topic} does not exist")
        return [TopicPartition(topic, number) for number in range(self.counts[topic])]

    def log(self, partition: TopicPartition) -> MemoryLog:
        """Raises: TransportError."""
        found = self._logs.get(partition)
        if found is None:
            raise TransportError(f"{partition} does not exist")
        return found

    def has(self, partition: TopicPartition) -> bool:
        return partition in self._logs

    def append(self, partition: TopicPartition, batch: Batch, now_ms: int) -> None:
        """Raises: TransportError."""
        self.log(partition).append(partition, batch, now_ms)
        self.wake()

    def fetched(self, partition: TopicPartition, offset: int, max_records: int) -> FetchedBatch:
        """Raises: TransportError."""
        return self.log(partition).fetched(partition, offset, max_records)

    def group(self, group_id: str) -> MemoryGroup:
        return self.groups.setdefault(group_id, MemoryGroup(group_id, self.counts))

    def wake(self) -> None:
        """Something was written, or the members of a group have changed."""
        for one in self._waiting:
            if not one.done():
                one.set_result(None)

    async def changed(self) -> None:
        """Until `wake` is called."""
        one: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(one)
        try:
            await one
        finally:
            self._waiting.discard(one)


# Process-wide on purpose: this is what makes two transports of one name the same topics.
_NAMED: dict[str, MemoryTopics] = {}


def topics_named(name: str) -> MemoryTopics:
    """The same ones for the same name as long as the process lives."""
    return _NAMED.setdefault(name.strip("/"), MemoryTopics())
