"""A consumer group: one key of a bucket, changed by compare-and-set of the whole.

Whoever changes its members stores with that who should have which partition. A partition is taken only when nobody owns it,
and given up by its owner, or by whoever puts the owner out.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence

import msgspec
from nats.js.kv import KeyValue

from mainstem.api.transport import Committed, NotMember, TransportError
from mainstem.api.transport_rules import check_metadata
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_nats.connection import Conflict, Missing, NatsConnection
from mainstem_plugins.transport_nats.names import encoded_text
from mainstem_plugins.transport_nats.shares import Member, Target, shares
from mainstem_plugins.transport_nats.topics import TopicEntry


class GroupState(msgspec.Struct):
    """`target` is who should have what; `owners`, who has it, and `committed` are by place: topic, its incarnation and the
    partition's number."""

    joined: int = 0
    members: dict[str, Member] = {}
    target: Target = {}
    owners: dict[str, str] = {}
    committed: dict[str, tuple[int, str]] = {}


class Revision(msgspec.Struct, frozen=True):
    """`number` 0: the group is not there yet."""

    number: int
    state: GroupState


_decoder = msgspec.json.Decoder(GroupState)


def place_of(partition: TopicPartition, entry: TopicEntry) -> str:
    return f"{topic_id(partition.topic, entry.incarnation)}={partition.partition}"


def partition_at(place: str) -> TopicPartition:
    topic, _, number = place.split("=")
    return TopicPartition(topic, int(number))


def topic_id(topic: str, incarnation: str) -> str:
    return f"{topic}={incarnation}"


class NatsGroup:
    """`member` is new each time it joins, so that nothing of an earlier membership counts."""

    def __init__(self, connection: NatsConnection, bucket: KeyValue, group_id: str) -> None:
        self.group_id = group_id
        self.member = ""
        self._connection = connection
        self._bucket = bucket
        self._key = encoded_text(group_id)
        self._known: Revision | None = None

    async def read(self) -> GroupState:
        """As it is now. Raises: TransportError."""
        try:
            found = await self._connection.call(
                f"group {self.group_id} cannot be read", lambda: self._bucket.get(self._key)
            )
        except Missing:
            self._known = Revision(0, GroupState())
            return self._known.state
        assert found.revision is not None, "an entry has a revision"
        self._known = Revision(found.revision, _decoder.decode(found.value or b""))
        return self._known.state

    async def change(self, change: Callable[[GroupState], bool]) -> GroupState:
        """`change` is called, again after somebody else was faster, until its work is stored; it returns whether it did any.

        What it does must be the same to do twice. Raises: TransportError, and what `change` raises.
        """
        state = await self.read() if self._known is None else self._known.state
        while True:
            assert self._known is not None, "read"
            copy = _decoder.decode(msgspec.json.encode(state))
            if not change(copy):
                return state
            try:
                stored = await self._store(msgspec.json.encode(copy), self._known.number)
            except Conflict:
                state = await self.read()
                continue
            self._known = Revision(stored, copy)
            return copy

    async def _store(self, data: bytes, revision: int) -> int:
        """Raises: Conflict, TransportError."""

        async def store() -> int:
            if revision:
                return int(await self._bucket.update(self._key, data, revision))
            return int(await self._bucket.create(self._key, data))

        return await self._connection.call(f"group {self.group_id} cannot be changed", store)

    # Members.

    async def join(self, entries: Mapping[str, TopicEntry]) -> GroupState:
        """Raises: TransportError."""
        self.member = uuid.uuid4().hex[:16]
        counts = {topic_id(topic, entry.incarnation): entry.partitions for topic, entry in entries.items()}

        def join(state: GroupState) -> bool:
            if self.member in state.members:
                return False
            state.joined += 1
            for place in [place for place in state.committed if partition_at(place).topic in entries]:
                if place.rpartition("=")[0] not in counts:
                    del state.committed[place]  # of a topic that was deleted and made again
            state.members[self.member] = Member(state.joined, counts, 0)
            state.target = shares(state.members, state.target)
            return True

        await self.read()
        return await self.change(join)

    async def beat(self, silent: Sequence[str]) -> GroupState:
        """Shows that this member lives, and puts out those that do not. Raises: NotMember."""

        def beat(state: GroupState) -> bool:
            mine = state.members.get(self.member)
            if mine is None:
                raise NotMember(f"group {self.group_id} has put this member out")
            state.members[self.member] = Member(mine.order, mine.topics, mine.beats + 1)
            for name in silent:
                _remove(state, name)
            return True

        return await self.change(beat)

    async def take(self, places: Sequence[str]) -> list[str]:
        """Those of them that nobody owned. Raises: NotMember."""
        taken: list[str] = []

        def take(state: GroupState) -> bool:
            if self.member not in state.members:
                raise NotMember(f"group {self.group_id} has put this member out")
            taken[:] = [place for place in places if state.owners.get(place, self.member) == self.member]
            new = [place for place in taken if place not in state.owners]
            state.owners.update(dict.fromkeys(new, self.member))
            return bool(new)

        await self.change(take)
        return taken

    async def release(self, places: Sequence[str]) -> None:
        def release(state: GroupState) -> bool:
            mine = [place for place in places if state.owners.get(place) == self.member]
            for place in mine:
                del state.owners[place]
            return bool(mine)

        await self.change(release)

    async def leave(self) -> None:
        await self.change(lambda state: _remove(state, self.member))

    async def put_out_the_silent(self) -> None:
        """For tools: members of processes that were killed are still listed; it takes a session to tell them from others."""
        before = (await self.read()).members
        if not before:
            return
        await asyncio.sleep(self._connection.config.session_timeout_ms / 1000)
        now = (await self.read()).members
        silent = [name for name, member in before.items() if name in now and now[name].beats == member.beats]

        def put_out(state: GroupState) -> bool:
            removed = [name for name in silent if _remove(state, name)]
            return bool(removed)

        await self.change(put_out)

    # Offsets.

    async def commit(self, offsets: Mapping[str, Committed]) -> None:
        """All or nothing. Raises: NotMember, TransportError."""
        for place, one in offsets.items():
            check_metadata(partition_at(place), one.metadata)

        def commit(state: GroupState) -> bool:
            strange = [place for place in offsets if state.owners.get(place) != self.member]
            if strange:
                named = ", ".join(str(partition_at(place)) for place in strange)
                raise NotMember(f"group {self.group_id}: {named} belong to another member")
            state.committed.update({place: (one.offset, one.metadata) for place, one in offsets.items()})
            return bool(offsets)

        try:
            await self.change(commit)
        except NotMember:
            # What is known may be old: look once more before it is believed.
            await self.read()
            await self.change(commit)

    async def set_offsets(self, offsets: Mapping[str, int]) -> None:
        """Raises: TransportError if it has members."""

        def move(state: GroupState) -> bool:
            if state.members:
                raise TransportError(f"group {self.group_id} has members; stop them first")
            state.committed.update({place: (offset, "") for place, offset in offsets.items()})
            return True

        await self.read()
        await self.change(move)


def _remove(state: GroupState, member: str) -> bool:
    if state.members.pop(member, None) is None:
        return False
    for place in [place for place, owner in state.owners.items() if owner == member]:
        del state.owners[place]
    state.target = shares(state.members, state.target)
    return True
