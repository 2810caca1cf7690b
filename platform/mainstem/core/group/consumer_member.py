"""One member of a consumer group. An immutable value: a decision makes a changed copy and writes it, `apply` puts it in place.

Source: Kafka's `ConsumerGroupMember`, 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import msgspec

from mainstem.core.group.consumer_records import (
    ClassicMetadata,
    ConsumerMemberStored,
    CurrentAssignmentStored,
    StoredPartitions,
)

Partitions = Mapping[bytes, frozenset[int]]
"""By topic id; a topic without partitions is not in it."""

NO_PARTITIONS: Partitions = {}
JOIN_EPOCH = 0
LEAVE_EPOCH = -1
LEAVE_STATIC_EPOCH = -2


class MemberState(IntEnum):
    """As stored. UNKNOWN is a state of some later version."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2
    UNKNOWN = 127


_STATES = {int(state): state for state in MemberState}


class ConsumerMember(msgspec.Struct, frozen=True, kw_only=True):
    """`rebalance_timeout_ms` is -1 while unknown. `classic` is set for a member that speaks the classic protocol."""

    member_id: str
    member_epoch: int = JOIN_EPOCH
    previous_member_epoch: int = -1
    state: MemberState = MemberState.STABLE
    instance_id: str | None = None
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    client_id: str = ""
    client_host: str = ""
    topics: frozenset[str] = frozenset()
    regex: str | None = ""
    server_assignor: str | None = None
    assigned: Partitions = NO_PARTITIONS
    pending_revocation: Partitions = NO_PARTITIONS
    classic: ClassicMetadata | None = None

    def is_reconciled_to(self, target_epoch: int) -> bool:
        return self.state is MemberState.STABLE and self.member_epoch == target_epoch

    @property
    def speaks_classic(self) -> bool:
        return self.classic is not None

    def with_subscription(self, stored: ConsumerMemberStored) -> ConsumerMember:
        return msgspec.structs.replace(
            self,
            instance_id=stored.instance_id,
            rack_id=stored.rack_id,
            rebalance_timeout_ms=stored.rebalance_timeout_ms,
            client_id=stored.client_id,
            client_host=stored.client_host,
            topics=frozenset(stored.topics),
            regex=stored.regex,
            server_assignor=stored.server_assignor,
            classic=stored.classic,
        )

    def with_assignment(self, stored: CurrentAssignmentStored) -> ConsumerMember:
        return msgspec.structs.replace(
            self,
            member_epoch=stored.member_epoch,
            previous_member_epoch=stored.previous_member_epoch,
            state=_STATES.get(stored.state, MemberState.UNKNOWN),
            assigned=read_partitions(stored.assigned),
            pending_revocation=read_partitions(stored.pending_revocation),
        )

    def subscription_record(self, group_id: str) -> ConsumerMemberStored:
        return ConsumerMemberStored(
            group_id=group_id,
            member_id=self.member_id,
            instance_id=self.instance_id,
            rack_id=self.rack_id,
            client_id=self.client_id,
            client_host=self.client_host,
            topics=tuple(sorted(self.topics)),
            regex=self.regex,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            server_assignor=self.server_assignor,
            classic=self.classic,
        )

    def assignment_record(self, group_id: str) -> CurrentAssignmentStored:
        return CurrentAssignmentStored(
            group_id=group_id,
            member_id=self.member_id,
            member_epoch=self.member_epoch,
            previous_member_epoch=self.previous_member_epoch,
            state=self.state,
            assigned=stored_partitions(self.assigned),
            pending_revocation=stored_partitions(self.pending_revocation),
        )


def stored_partitions(partitions: Partitions) -> StoredPartitions:
    return {topic_id: tuple(sorted(indexes)) for topic_id, indexes in partitions.items()}


def read_partitions(stored: StoredPartitions) -> Partitions:
    return {topic_id: frozenset(indexes) for topic_id, indexes in stored.items()}


def is_subset(owned: Partitions | None, allowed: Partitions) -> bool:
    """Whether everything in `owned` is allowed; what a member did not say is not."""
    if owned is None:
        return False
    nothing: frozenset[int] = frozenset()
    return all(topic_id in allowed and indexes <= allowed.get(topic_id, nothing) for topic_id, indexes in owned.items())


def overlaps(owned: Partitions, other: Partitions) -> bool:
    return any(not indexes.isdisjoint(other[topic_id]) for topic_id, indexes in owned.items() if topic_id in other)
