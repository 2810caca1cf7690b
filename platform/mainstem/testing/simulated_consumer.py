"""Consumer groups of the simulated transport: what stays with a member is not revoked, and topics of equal partition counts are
co-partitioned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from mainstem.api.transport import Committed, FetchedBatch, NotMember, RebalanceListener, TransportError
from mainstem.model.ids import TopicPartition


class SimulatedGroup:
    """Members learn at their next fetch what they must give and may take."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.offsets: dict[TopicPartition, Committed] = {}
        self.members: list[SimulatedConsumer] = []
        self._counts = counts

    def target(self, member: SimulatedConsumer) -> set[TopicPartition]:
        place, count = self.members.index(member), len(self.members)
        return {
            TopicPartition(topic, number)
            for topic in member.topics
            for number in range(self._counts[topic])
            if number % count == place
        }

    def is_free(self, partition: TopicPartition) -> bool:
        return all(partition not in member.assigned for member in self.members)

    def set_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        if self.members:
            raise TransportError(f"group {group_id} has members; stop them first")
        for partition in offsets:
            if partition.partition >= self._counts.get(partition.topic, 0):
                raise TransportError(f"{partition} does not exist")
        self.offsets.update({partition: Committed(offset) for partition, offset in offsets.items()})

    def crash(self) -> None:
        for member in self.members:
            member.assigned.clear()
        self.members.clear()


class SimulatedConsumer:
    def __init__(
        self,
        group: SimulatedGroup,
        read: Callable[[TopicPartition, int, int], FetchedBatch],
        end_of: Callable[[TopicPartition], int],
        step: Callable[[str], None],
        *,
        group_id: str,
        from_latest: bool,
    ) -> None:
        self.topics: tuple[str, ...] = ()
        self.assigned: dict[TopicPartition, int] = {}
        self._group = group
        self._group_id = group_id
        self._read = read
        self._end_of = end_of
        self._step = step
        self._from_latest = from_latest
        self._listener: RebalanceListener | None = None
        self._lost: list[TopicPartition] = []
        self._was_told = False
        self._paused: set[TopicPartition] = set()
        self._told_end: dict[TopicPartition, int] = {}

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        self._step("consumer.subscribe")
        self.topics = tuple(topics)
        self._listener = listener
        self._group.members.append(self)

    @property
    def is_member(self) -> bool:
        return self in self._group.members

    def evict(self) -> None:
        """The group has put this member out, say because it slept: it learns so at its next fetch, or commit."""
        self._lost = list(self.assigned)
        self.assigned.clear()
        self._group.members.remove(self)

    async def _settle(self) -> None:
        assert self._listener is not None, "subscribed before it fetches"
        if self._lost or self not in self._group.members:
            lost, self._lost = self._lost, []
            await self._listener.lost(lost)
            self._paused.clear()
            self._group.members.append(self)
        target = self._group.target(self)
        going = [partition for partition in self.assigned if partition not in target]
        if going:
            await self._listener.revoked(going)
            for partition in going:
                self.assigned.pop(partition, None)
            self._paused.difference_update(going)
        coming = sorted(
            partition for partition in target if partition not in self.assigned and self._group.is_free(partition)
        )
        if coming or not self._was_told:
            self._was_told = True
            for partition in coming:
                self.assigned[partition] = self._start(partition)
                self._told_end.pop(partition, None)
            await self._listener.assigned(coming)

    def _start(self, partition: TopicPartition) -> int:
        committed = self._group.offsets.get(partition)
        if committed is not None:
            return committed.offset
        return self._end_of(partition) if self._from_latest else 0

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        self._step("consumer.fetch")
        await self._settle()
        await asyncio.sleep(0)
        fetched = []
        for partition, offset in list(self.assigned.items()):
            if partition in self._paused:
                continue
            one = self._read(partition, offset, max_records)
            if len(one.batch) or (one.next_offset == one.end_offset != self._told_end.get(partition)):
                self.assigned[partition] = one.next_offset
                if one.next_offset == one.end_offset:
                    self._told_end[partition] = one.end_offset
                fetched.append(one)
        return fetched

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        for partition, offset in offsets.items():
            if partition not in self.assigned and partition not in self._lost:
                raise TransportError(f"{partition} is not assigned")
            if partition in self.assigned:
                self.assigned[partition] = offset
                self._told_end.pop(partition, None)

    async def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        self._step("consumer.committed_offsets")
        return {
            partition: self._group.offsets[partition] for partition in partitions if partition in self._group.offsets
        }

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        self._step("consumer.commit")
        self.store(offsets)
        self._step("consumer.committed")

    def store(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Raises: NotMember."""
        strange = sorted(set(offsets) - set(self.assigned))
        if strange:
            raise NotMember(f"group {self._group_id}: {', '.join(map(str, strange))} belong to another member")
        self._group.offsets.update(offsets)

    async def close(self) -> None:
        if self in self._group.members:
            self._group.members.remove(self)
        self.assigned.clear()
