"""A member's way to its consumer group, which lives in Redis: see `scripts/group_*.lua`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainstem.api.transport import Committed, NotMember
from mainstem.api.transport_rules import check_metadata
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_redis.client import RedisClient
from mainstem_plugins.transport_redis.keys import offsets_key, partition_at, place_of


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A partition that the member should have, and has unless another one holds it still."""

    partition: TopicPartition
    is_mine: bool
    topic_id: bytes
    start: int
    end: int
    committed: Committed | None


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    shares: Sequence[Share]


class RedisGroup:
    """`member` is new each time it joins, so that nothing of an earlier membership counts."""

    def __init__(self, client: RedisClient, group_id: str, session_timeout_ms: int) -> None:
        self.group_id = group_id
        self.member = ""
        self._client = client
        self._session_ms = session_timeout_ms

    async def join(self, topics: Sequence[str]) -> int:
        """The group's version. Raises: TransportError."""
        self.member = uuid.uuid4().hex
        listed = msgspec.json.encode(list(topics))
        keys = [f"{self._client.base}groups"]
        return int(await self._client.run("group_join", keys, [*self._names(), self._session_ms, listed]))

    async def renew(self) -> int:
        """The group's version, 0 if it has put this member out. Raises: TransportError."""
        answer = await self._client.run("group_settle", [], [*self._names(), self._session_ms, 0])
        return int(answer[0])

    async def settle(self) -> Shares:
        """Takes what is free of the member's shares. Version 0: it is no member. Raises: TransportError."""
        answer = await self._client.run("group_settle", [], [*self._names(), self._session_ms, 1])
        return Shares(version=int(answer[0]), shares=sorted(map(_share, answer[1:]), key=lambda one: one.partition))

    async def release(self, partitions: Sequence[TopicPartition]) -> None:
        """Raises: TransportError."""
        await self._client.run("group_release", [], [*self._names(), *map(place_of, partitions)])

    async def leave(self) -> None:
        """Raises: TransportError."""
        await self._client.run("group_leave", [], self._names())

    async def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Raises: TransportError."""
        if not partitions:
            return {}
        found = await self._client.command(
            "HMGET", offsets_key(self._client.base, self.group_id), *map(place_of, partitions)
        )
        return {
            partition: read_committed(text)
            for partition, text in zip(partitions, found, strict=True)
            if text is not None
        }

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Raises: NotMember, TransportError."""
        strange = await self._client.run("group_commit", [], self.commit_arguments(offsets))
        if strange:
            raise NotMember(self.strange_text(strange))

    def commit_arguments(self, offsets: Mapping[TopicPartition, Committed], *, with_count: bool = False) -> list[Any]:
        """As the scripts read them. Raises: TransportError for a text that is too long."""
        arguments: list[Any] = [*self._names()]
        if with_count:
            arguments.append(len(offsets))
        for partition, committed in offsets.items():
            check_metadata(partition, committed.metadata)
            arguments += [place_of(partition), committed.offset, committed.metadata]
        return arguments

    def strange_text(self, places: Sequence[bytes]) -> str:
        named = ", ".join(str(partition_at(place)) for place in places)
        return f"group {self.group_id}: {named} belong to another member"

    def _names(self) -> list[Any]:
        return [self._client.base, self.group_id, self.member]


def _share(answer: list[Any]) -> Share:
    topic, number, is_mine, topic_id, start, end, committed = answer
    return Share(
        partition=TopicPartition(topic.decode(), int(number)),
        is_mine=bool(is_mine),
        topic_id=topic_id or b"",
        start=int(start or 0),
        end=int(end or 0),
        committed=read_committed(committed) if committed else None,
    )


def read_committed(text: bytes) -> Committed:
    offset, _, metadata = text.decode().partition(" ")
    return Committed(int(offset), metadata)
