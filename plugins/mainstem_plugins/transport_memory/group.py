"""A consumer group in memory: its offsets, its members and whose turn each partition is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mainstem.api.transport import Committed, NotMember, TransportError
from mainstem.api.transport_rules import check_metadata
from mainstem.model.ids import TopicPartition


class Member(Protocol):
    topics: Sequence[str]
    owned: dict[TopicPartition, int]
    fetched_at_ms: int

    def put_out(self) -> None: ...


class MemoryGroup:
    """`version` counts what makes a member look at its assignment again."""

    def __init__(self, group_id: str, counts: Mapping[str, int]) -> None:
        self.offsets: dict[TopicPartition, Committed] = {}
        self.version = 0
        self._group_id = group_id
        self._members: list[Member] = []
        self._counts = counts

    def is_member(self, member: Member) -> bool:
        return member in self._members

    def join(self, member: Member) -> None:
        self._members.append(member)
        self.version += 1

    def leave(self, member: Member) -> None:
        if member in self._members:
            self._members.remove(member)
        self.version += 1

    def put_out_sleepers(self, before_ms: int) -> None:
        """Members that have not fetched since `before_ms`."""
        for member in [member for member in self._members if member.fetched_at_ms < before_ms]:
            self.leave(member)
            member.put_out()

    def target(self, member: Member) -> set[TopicPartition]:
        """Partition n of all its topics goes to the n-th of those that subscribed to the topic, counted round."""
        target: set[TopicPartition] = set()
        for topic in member.topics:
            readers = [one for one in self._members if topic in one.topics]
            place = readers.index(member)
            target.update(
                TopicPartition(topic, number)
                for number in range(self._counts.get(topic, 0))
                if number % len(readers) == place
            )
        return target

    def is_free(self, partition: TopicPartition) -> bool:
        return all(partition not in member.owned for member in self._members)

    def store(self, member: Member, offsets: Mapping[TopicPartition, Committed]) -> None:
        """All or none. Raises: NotMember, TransportError."""
        strange = sorted(set(offsets) - set(member.owned))
        if strange:
            raise NotMember(f"group {self._group_id}: {', '.join(map(str, strange))} belong to another member")
        for partition, committed in offsets.items():
            check_metadata(partition, committed.metadata)
        self.offsets.update(offsets)

    def move(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Raises: TransportError."""
        if self._members:
            raise TransportError(f"group {self._group_id} has members; stop them first")
        for partition, offset in offsets.items():
            if not 0 <= partition.partition < self._counts.get(partition.topic, 0):
                raise TransportError(f"{partition} does not exist")
            if offset < 0:
                raise TransportError(f"{partition}: offset {offset} is negative")
        self.offsets.update({partition: Committed(offset) for partition, offset in offsets.items()})
