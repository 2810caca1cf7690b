"""A classic group as the coordinator holds it: members, generation, and who is parked in JoinGroup or
SyncGroup.

What is persisted (`persisted`, the last generation written) changes by `settle` alone; the rest is soft: it
is lost when
the coordinator moves, and clients rebuild it by rejoining.

                      ┌───────────────────────────────────────────────┐ leave, new member, timeout
                      ▼                                               │
    Empty ──> PreparingRebalance ──all joined──> CompletingRebalance ─┴─leader's sync stored──> Stable
      ▲               │                                                                           │
      └──nobody left──┘ <─────────────────────────────────────────────────────────────────────────┘

Source: Kafka's `ClassicGroup`, 4.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from mainstem.core.group.classic_member import Member
from mainstem.core.group.commands import MemberProtocol
from mainstem.core.group.records import GroupMember, GroupStored
from mainstem.core.group.results import JoinedMember, JoinResult
from mainstem.core.group.subscription import subscribed_topics
from mainstem.model.errors import ErrorCode

CONSUMER_PROTOCOL_TYPE = "consumer"


class GroupState(StrEnum):
    """The names that DescribeGroups and ListGroups show."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


_BEFORE = {
    GroupState.EMPTY: {GroupState.PREPARING_REBALANCE},
    GroupState.PREPARING_REBALANCE: {
        GroupState.STABLE,
        GroupState.COMPLETING_REBALANCE,
        GroupState.EMPTY,
    },
    GroupState.COMPLETING_REBALANCE: {GroupState.PREPARING_REBALANCE},
    GroupState.STABLE: {GroupState.COMPLETING_REBALANCE},
}


class ClassicGroup:
    """Owned by its shard. Members are kept in the order in which they came."""

    def __init__(self, group_id: str, now_ms: int) -> None:
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.previous_state = GroupState.DEAD
        self.state_since_ms = now_ms
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol_name: str | None = None
        self.leader_id: str | None = None
        self.members: dict[str, Member] = {}
        self.static_members: dict[str, str] = {}
        self.pending_joins: set[str] = set()
        """Ids given by MEMBER_ID_REQUIRED that did not come back yet (KIP-394)."""
        self.pending_syncs: set[str] = set()
        self.joins_parked = 0
        self.was_joined_during_delay = False
        self.persisted: GroupStored | None = None
        self.replaced: Member | None = None
        """The static member that gave way in the decision that is being written, to be put back if it cannot be."""
        self._protocol_counts: Counter[str] = Counter()

    @classmethod
    def from_stored(cls, stored: GroupStored) -> ClassicGroup:
        group = cls(stored.group_id, stored.state_since_ms)
        group.state = GroupState.STABLE if stored.members else GroupState.EMPTY
        group.generation = stored.generation
        group.protocol_type = stored.protocol_type or None
        group.protocol_name = stored.protocol
        group.leader_id = stored.leader
        for kept in stored.members:
            # Version 0 of the record has no rebalance timeout; the session timeout served for both then.
            rebalance_ms = kept.session_timeout_ms if kept.rebalance_timeout_ms == -1 else kept.rebalance_timeout_ms
            group.insert(
                Member(
                    member_id=kept.member_id,
                    group_instance_id=kept.group_instance_id,
                    client_id=kept.client_id,
                    client_host=kept.client_host,
                    rebalance_timeout_ms=rebalance_ms,
                    session_timeout_ms=kept.session_timeout_ms,
                    protocols=(MemberProtocol(stored.protocol or "", kept.subscription),),
                    assignment=kept.assignment,
                )
            )
        group.persisted = stored
        return group

    def settle(self, stored: GroupStored) -> None:
        """What `decide` wrote is in the log now: take it as the group's generation."""
        self.persisted = stored
        if stored.members:
            for kept in stored.members:
                member = self.members.get(kept.member_id)
                assert member is not None, f"{kept.member_id} was written and is no member of {self.group_id}"
                member.assignment = kept.assignment
            if self.state is GroupState.COMPLETING_REBALANCE:
                self.enter(GroupState.STABLE, stored.state_since_ms)
        elif stored.generation > self.generation:
            self.become_empty(stored)
        self.replaced = None

    def become_empty(self, stored: GroupStored) -> None:
        self.generation = stored.generation
        self.protocol_name = None
        self.leader_id = None
        self.pending_syncs.clear()
        self.was_joined_during_delay = False
        self.enter(GroupState.EMPTY, stored.state_since_ms)

    def stored(self, assignments: dict[str, bytes]) -> GroupStored:
        """The record of the current generation with `assignments` by member id; a member without one gets an
        empty one."""
        return GroupStored(
            group_id=self.group_id,
            protocol_type=self.protocol_type or "",
            generation=self.generation,
            protocol=self.protocol_name,
            leader=self.leader_id,
            state_since_ms=self.state_since_ms,
            members=tuple(
                GroupMember(
                    member_id=m.member_id,
                    group_instance_id=m.group_instance_id,
                    client_id=m.client_id,
                    client_host=m.client_host,
                    rebalance_timeout_ms=m.rebalance_timeout_ms,
                    session_timeout_ms=m.session_timeout_ms,
                    subscription=m.metadata(self.protocol_name),
                    assignment=assignments.get(m.member_id, b""),
                )
                for m in self.members.values()
            ),
        )

    # --- state ----------------------------------------------------------------------------------------------

    @property
    def is_simple(self) -> bool:
        """Nobody ever joined: the group only holds offsets that somebody commits without membership."""
        return self.protocol_type is None and self.state is GroupState.EMPTY and not self.pending_joins

    @property
    def can_rebalance(self) -> bool:
        return self.state in _BEFORE[GroupState.PREPARING_REBALANCE]

    @property
    def rebalance_timeout_ms(self) -> int:
        return max((m.rebalance_timeout_ms for m in self.members.values()), default=0)

    @property
    def has_all_joined(self) -> bool:
        return self.joins_parked == len(self.members) and not self.pending_joins

    @property
    def has_consumer_protocol(self) -> bool:
        return self.protocol_type == CONSUMER_PROTOCOL_TYPE

    def enter(self, state: GroupState, now_ms: int) -> None:
        assert self.state in _BEFORE[state], f"group {self.group_id} cannot go from {self.state} to {state}"
        self.previous_state, self.state, self.state_since_ms = self.state, state, now_ms

    def is_leader(self, member_id: str) -> bool:
        return self.leader_id == member_id

    # --- members --------------------------------------------------------------------------------------------

    def add(self, member: Member, protocol_type: str, join_token: Any) -> None:
        if not self.members:
            self.protocol_type = protocol_type
        assert self.protocol_type == protocol_type, "checked by supports()"
        self.insert(member)
        if self.leader_id is None:
            self.leader_id = member.member_id
        self.park_join(member, join_token)
        self.pending_joins.discard(member.member_id)

    def insert(self, member: Member) -> None:
        if member.group_instance_id is not None:
            assert member.group_instance_id not in self.static_members, "one member per instance id"
            self.static_members[member.group_instance_id] = member.member_id
        self.members[member.member_id] = member
        self._protocol_counts.update(p.name for p in member.protocols)

    def remove(self, member_id: str) -> None:
        """Takes members and pending ids; whoever is parked must have been answered before."""
        member = self.members.pop(member_id, None)
        if member is not None:
            assert not member.is_parked, f"{member_id} is still parked"
            self._protocol_counts.subtract(p.name for p in member.protocols)
            if member.group_instance_id is not None:
                del self.static_members[member.group_instance_id]
        if self.is_leader(member_id):
            self.leader_id = next(iter(self.members), None)
        self.pending_joins.discard(member_id)
        self.pending_syncs.discard(member_id)

    def replace_static(self, old: Member, new_member_id: str) -> Member:
        """The instance came back under a new id; it keeps its place and assignment, the old id is fenced
        (KIP-345)."""
        assert not old.is_parked, f"{old.member_id} is still parked"
        new = Member(
            member_id=new_member_id,
            group_instance_id=old.group_instance_id,
            client_id=old.client_id,
            client_host=old.client_host,
            rebalance_timeout_ms=old.rebalance_timeout_ms,
            session_timeout_ms=old.session_timeout_ms,
            protocols=old.protocols,
            assignment=old.assignment,
        )
        self._put_in_place(old, new)
        self.replaced = old
        return new

    def put_back_replaced(self) -> None:
        """The replacement could not be written: the old member is the one again."""
        old, self.replaced = self.replaced, None
        assert old is not None, f"nobody was replaced in {self.group_id}"
        assert old.group_instance_id is not None, "only static members are replaced"
        new = self.members[self.static_members[old.group_instance_id]]
        self._protocol_counts.subtract(p.name for p in new.protocols)
        self._protocol_counts.update(p.name for p in old.protocols)
        self._put_in_place(new, old)

    def _put_in_place(self, old: Member, new: Member) -> None:
        assert old.group_instance_id is not None, "only static members are replaced"
        self.members = {m.member_id: m for m in (new if m is old else m for m in self.members.values())}
        self.static_members[old.group_instance_id] = new.member_id
        if self.is_leader(old.member_id):
            self.leader_id = new.member_id
        if old.member_id in self.pending_syncs:
            self.pending_syncs.remove(old.member_id)
            self.pending_syncs.add(new.member_id)

    def update(
        self,
        member: Member,
        protocols: tuple[MemberProtocol, ...],
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
    ) -> None:
        self._protocol_counts.subtract(p.name for p in member.protocols)
        member.protocols = protocols
        self._protocol_counts.update(p.name for p in protocols)
        member.rebalance_timeout_ms = rebalance_timeout_ms
        member.session_timeout_ms = session_timeout_ms

    def park_join(self, member: Member, token: Any) -> None:
        assert not member.is_awaiting_join, f"{member.member_id} is parked already"
        member.join_token = token
        self.joins_parked += 1

    def unpark_join(self, member: Member) -> Any:
        token, member.join_token = member.join_token, None
        if token is not None:
            self.joins_parked -= 1
        return token

    def member_problem(self, member_id: str, group_instance_id: str | None) -> ErrorCode:
        """NONE if this is a member under the id and instance id it claims."""
        if group_instance_id is not None:
            known = self.static_members.get(group_instance_id)
            if known is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if known != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    # --- protocols ------------------------------------------------------------------------------------------

    def supports(self, protocol_type: str, names: Iterable[str]) -> bool:
        """Whether a member with these protocols could be of one generation with all others."""
        names = list(names)
        if self.state is GroupState.EMPTY:
            return bool(protocol_type) and bool(names)
        size = len(self.members)
        return protocol_type == self.protocol_type and any(self._protocol_counts[n] == size for n in names)

    def select_protocol(self) -> str:
        """Every member votes for the first of its protocols that all others know too; most votes win, the
        earliest on a tie."""
        size = len(self.members)
        votes: Counter[str] = Counter()
        for member in self.members.values():
            votes[next(p.name for p in member.protocols if self._protocol_counts[p.name] == size)] += 1
        return votes.most_common(1)[0][0]

    def subscribed_topics(self) -> frozenset[str] | None:
        """Topics of all members, None if the members speak something else than the consumer protocol."""
        if not self.has_consumer_protocol:
            return None
        topics: set[str] = set()
        for member in self.members.values():
            # During a rebalance a newcomer need not know the protocol of the generation before.
            metadata = member.find_metadata(self.protocol_name)
            found = None if metadata is None else subscribed_topics(metadata)
            if found is None:
                return None
            topics |= found
        return frozenset(topics)

    def is_subscribed(self, topic: str) -> bool:
        """Unknown subscriptions of a consumer group count as all topics: nothing is forgotten by mistake."""
        topics = self.subscribed_topics()
        return self.has_consumer_protocol if topics is None else topic in topics

    def joined(self, member: Member, *, skip_assignment: bool = False, with_members: bool = True) -> JoinResult:
        """The answer that lets `member` into the current generation; the leader also gets everybody's
        metadata."""
        members: tuple[JoinedMember, ...] = ()
        if with_members and self.is_leader(member.member_id):
            members = tuple(
                JoinedMember(m.member_id, m.group_instance_id, m.metadata(self.protocol_name))
                for m in self.members.values()
            )
        return JoinResult(
            member_id=member.member_id,
            generation=self.generation,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol_name,
            leader=self.leader_id or "",
            skip_assignment=skip_assignment,
            members=members,
        )
