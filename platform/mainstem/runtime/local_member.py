"""A member of a consumer group in the same process: `api.node.LocalMember` on the broker's own coordinator (KIP-848)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

import msgspec

from mainstem.api.node import CommittedOffset
from mainstem.core.group.commands import ConsumerHeartbeat, DescribeConsumerGroup
from mainstem.core.group.results import ConsumerDescribeResult, ConsumerHeartbeatResult
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.errors import ErrorCode, RequestError
from mainstem.model.features import GROUP_VERSION
from mainstem.model.ids import TopicPartition
from mainstem.runtime.coordinator_topic import as_it_is, settled
from mainstem.runtime.groups import NO_GENERATION, Groups

ASSIGNOR = "range"  # partition n of all topics with as many partitions goes to one member
CLIENT_ID = "mainstem-embedded"
CLIENT_HOST = "/127.0.0.1"
JOINS, LEAVES = 0, -1


class RuntimeMember:
    """See `api.node.LocalMember`."""

    def __init__(
        self,
        groups: Groups,
        image: Callable[[], MetadataImage],
        alive: set[str],
        group_id: str,
        rebalance_timeout_ms: int,
    ) -> None:
        """`alive`: the ids of all such members of this process."""
        self.member_id = ""
        self.member_epoch = NO_GENERATION
        self._groups = groups
        self._image = image
        self._alive = alive
        self._group_id = group_id
        self._rebalance_timeout_ms = rebalance_timeout_ms
        self._order = asyncio.Lock()  # an epoch that a heartbeat has just changed must not be used by what follows

    async def join(self, topics: Collection[str]) -> Collection[TopicPartition] | None:
        async with self._order:
            if self._image().feature_level(GROUP_VERSION) < 1:
                raise RequestError(ErrorCode.UNSUPPORTED_VERSION, "group.version is 0; mainstem features upgrade")
            await self._groups.ready(self._group_id)
            await self._remove_the_dead()
            self._alive.discard(self.member_id)
            self.member_id, self.member_epoch = self._groups.new_consumer_member_id(), JOINS
            self._alive.add(self.member_id)
            return await self._ask(topics=frozenset(topics), owned={}, server_assignor=ASSIGNOR)

    async def _remove_the_dead(self) -> None:
        """Members of a process that was killed: they ended with the broker that they were in, so nobody waits for their
        session to end."""
        command = DescribeConsumerGroup(group_id=self._group_id)
        (found,) = await settled([self._groups.submit(command, as_it_is)])
        assert isinstance(found, ConsumerDescribeResult)
        for member in found.group.members:
            if member.client_id == CLIENT_ID and member.member_id not in self._alive:
                await settled([self._groups.submit(self._command(member.member_id, LEAVES), as_it_is)])

    async def heartbeat(self, owned: Collection[TopicPartition] | None = None) -> Collection[TopicPartition] | None:
        async with self._order:
            return await self._ask(owned=None if owned is None else self._by_topic_id(owned))

    async def _ask(
        self,
        *,
        topics: frozenset[str] | None = None,
        owned: Mapping[bytes, frozenset[int]] | None = None,
        server_assignor: str | None = None,
    ) -> Collection[TopicPartition] | None:
        command = msgspec.structs.replace(
            self._command(self.member_id, self.member_epoch),
            rebalance_timeout_ms=self._rebalance_timeout_ms if topics is not None else -1,
            topics=topics,
            owned=owned,
            server_assignor=server_assignor,
        )
        (result,) = await settled([self._groups.submit(command, as_it_is)])
        assert isinstance(result, ConsumerHeartbeatResult)
        if result.error is not ErrorCode.NONE:
            text = f": {result.error_message}" if result.error_message else ""
            raise RequestError(result.error, f"heartbeat of group {self._group_id}{text}")
        self.member_epoch = result.member_epoch
        return None if result.assignment is None else self._named(result.assignment)

    def _command(self, member_id: str, epoch: int) -> ConsumerHeartbeat:
        return ConsumerHeartbeat(
            group_id=self._group_id,
            member_id=member_id,
            new_member_id="",
            member_epoch=epoch,
            client_id=CLIENT_ID,
            client_host=CLIENT_HOST,
        )

    def _by_topic_id(self, partitions: Collection[TopicPartition]) -> dict[bytes, frozenset[int]]:
        found: dict[bytes, frozenset[int]] = {}
        for partition in partitions:
            topic = self._image().topics.get(partition.topic)
            if topic is not None:  # otherwise it was deleted
                known = found.get(topic.topic_id, frozenset())
                found[topic.topic_id] = known | {partition.partition}
        return found

    def _named(self, assignment: Mapping[bytes, frozenset[int]]) -> list[TopicPartition]:
        topics = self._image().topics_by_id
        return sorted(
            TopicPartition(topics[topic_id].name, number)
            for topic_id, numbers in assignment.items()
            if topic_id in topics
            for number in numbers
        )

    async def commit_offsets(self, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        async with self._order:
            await self._groups.commit_offsets(
                self._group_id, offsets, member_id=self.member_id, generation=self.member_epoch
            )

    async def leave(self) -> None:
        async with self._order:
            if not self.member_id:
                return
            self.member_epoch = LEAVES
            try:
                await self._ask()
            finally:
                self._alive.discard(self.member_id)
                self.member_id, self.member_epoch = "", NO_GENERATION
