"""A group of the consumer protocol as the coordinator holds it. Changed by `apply` alone, save for what is called soft.

The group's epoch grows with everything that calls for another assignment; the target assignment is made for an epoch; each
member moves to it at its own pace (`consumer_reconciliation`).

    Empty ──member joins──> Assigning ──target made──> Reconciling ──all members there──> Stable

Source: Kafka's `ConsumerGroup` and `ModernGroup`, 4.1; KIP-848.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, assert_never

import msgspec

from mainstem.core.group.consumer_member import (
    LEAVE_EPOCH,
    NO_PARTITIONS,
    ConsumerMember,
    MemberState,
    Partitions,
    read_partitions,
)
from mainstem.core.group.consumer_reconciliation import FREE
from mainstem.core.group.consumer_records import (
    ConsumerGroupRemoved,
    ConsumerGroupStored,
    ConsumerMemberRemoved,
    ConsumerMemberStored,
    ConsumerRecord,
    CurrentAssignmentRemoved,
    CurrentAssignmentStored,
    RegexRemoved,
    RegexStored,
    SubscriptionMetadataRemoved,
    SubscriptionMetadataStored,
    TargetAssignmentRemoved,
    TargetAssignmentStored,
    TargetEpochRemoved,
    TargetEpochStored,
)

CONSUMER_PROTOCOL_TYPE = "consumer"
REMOVED_EPOCH = -1


class ConsumerGroupState(StrEnum):
    """The names that ConsumerGroupDescribe and ListGroups show."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"
    DEAD = "Dead"


class ResolvedRegex(NamedTuple):
    """`version` of the cluster's metadata; `resolved_at_ms` since 1970."""

    topics: frozenset[str]
    version: int
    resolved_at_ms: int


class ConsumerGroup:
    """Owned by its shard."""

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = 0
        self.target_epoch = 0
        self.metadata_hash = 0
        self.members: dict[str, ConsumerMember] = {}
        self.static_members: dict[str, str] = {}
        self.targets: dict[str, Partitions] = {}
        self.regexes: dict[str, ResolvedRegex] = {}
        self.regex_members: Counter[str] = Counter()
        """How many members are subscribed by each expression, resolved or not."""
        self.has_subscription_metadata = False
        self.classic_members = 0
        self.refresh_metadata_from_ms = 0
        """Soft: from when on the next heartbeat looks whether the subscribed topics changed; valid for
        `refresh_metadata_epoch` and later."""
        self.refresh_metadata_epoch = 0
        self.awaited_joins: set[str] = set()
        """Soft: classic members that were told to rejoin and have a timer running."""
        self._names: Counter[str] = Counter()
        self._names_by_regex: Counter[str] = Counter()
        self._assignors: Counter[str] = Counter()
        self._classic_protocols: Counter[str] = Counter()
        self._owner_epochs: dict[bytes, dict[int, int]] = {}

    # --- looking --------------------------------------------------------------------------------------------

    @property
    def state(self) -> ConsumerGroupState:
        """Costs a look at every member."""
        if not self.members:
            return ConsumerGroupState.EMPTY
        if self.epoch > self.target_epoch:
            return ConsumerGroupState.ASSIGNING
        if all(member.is_reconciled_to(self.target_epoch) for member in self.members.values()):
            return ConsumerGroupState.STABLE
        return ConsumerGroupState.RECONCILING

    @property
    def is_empty(self) -> bool:
        return not self.members

    @property
    def protocol_type(self) -> str:
        return CONSUMER_PROTOCOL_TYPE

    def is_subscribed(self, topic: str) -> bool:
        return topic in self._names or topic in self._names_by_regex

    def subscribed_names(self) -> set[str]:
        return {*self._names, *self._names_by_regex}

    def subscribed_names_after(
        self, removed: Iterable[ConsumerMember], added: ConsumerMember | None, dropped_regexes: Iterable[str]
    ) -> set[str]:
        """The names that members would be subscribed to if some went or changed, and expressions with them."""
        names, by_regex = Counter(self._names), Counter(self._names_by_regex)
        for member in removed:
            if member.member_id in self.members:
                names.subtract(member.topics)
        if added is not None:
            names.update(added.topics)
        for regex in dropped_regexes:
            if regex in self.regexes:
                by_regex.subtract(self.regexes[regex].topics)
        return {name for counts in (names, by_regex) for name, count in counts.items() if count > 0}

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        member_id = None if instance_id is None else self.static_members.get(instance_id)
        return None if member_id is None else self.members[member_id]

    def target_of(self, member_id: str, instance_id: str | None) -> Partitions:
        """A static member's target is that of its instance, under whatever id it was."""
        if instance_id is not None:
            member_id = self.static_members.get(instance_id, "")
        return self.targets.get(member_id, NO_PARTITIONS)

    def owner_epoch(self, topic_id: bytes, partition: int) -> int:
        """Member epoch of whoever holds the partition or has not let go of it yet, `FREE` if nobody does."""
        owners = self._owner_epochs.get(topic_id)
        return FREE if owners is None else owners.get(partition, FREE)

    def preferred_assignor(self, old: ConsumerMember | None, new: ConsumerMember | None) -> str | None:
        """What most members asked for, if `old` became `new`; None if nobody asked for one."""
        counts = Counter(self._assignors)
        if old is not None and old.server_assignor is not None and old.member_id in self.members:
            counts[old.server_assignor] -= 1
        if new is not None and new.server_assignor is not None:
            counts[new.server_assignor] += 1
        # Between equals the one Kafka's hash table lists first.
        best = max(counts, key=lambda name: (counts[name], name), default=None)
        return best if best is not None and counts[best] > 0 else None

    def supports_classic(self, protocol_type: str, names: Iterable[str]) -> bool:
        if protocol_type != CONSUMER_PROTOCOL_TYPE:
            return False
        names = list(names)
        if not self.members:
            return bool(names)
        return any(self._classic_protocols[name] == self.classic_members for name in names)

    def waits_for_release(self, member: ConsumerMember) -> bool:
        """Whether something of its target is still in another member's hands."""
        if member.state is not MemberState.UNRELEASED_PARTITIONS:
            return False
        target = self.targets.get(member.member_id, NO_PARTITIONS)
        return any(
            index not in member.assigned.get(topic_id, ()) and self.owner_epoch(topic_id, index) != FREE
            for topic_id, indexes in target.items()
            for index in indexes
        )

    def must_refresh_metadata(self, now_ms: int) -> bool:
        # An epoch that never got into the log means that the refresh did not either.
        return now_ms >= self.refresh_metadata_from_ms or self.epoch < self.refresh_metadata_epoch

    # --- soft state -----------------------------------------------------------------------------------------

    def request_metadata_refresh(self) -> None:
        self.refresh_metadata_from_ms = self.refresh_metadata_epoch = 0

    def metadata_is_fresh_until(self, now_ms: int, epoch: int) -> None:
        self.refresh_metadata_from_ms, self.refresh_metadata_epoch = now_ms, epoch

    # --- applying -------------------------------------------------------------------------------------------

    def apply(self, record: ConsumerRecord) -> None:
        """Take a record that is in the log. `ConsumerGroupRemoved` is the shard's, which forgets the group."""
        match record:
            case ConsumerGroupStored():
                self.epoch, self.metadata_hash = record.epoch, record.metadata_hash
            case ConsumerMemberStored():
                old = self.members.get(record.member_id) or ConsumerMember(member_id=record.member_id)
                self._put(old.with_subscription(record))
            case ConsumerMemberRemoved():
                self._remove(record.member_id)
            case TargetEpochStored():
                self.target_epoch = record.epoch
            case TargetEpochRemoved():
                self.target_epoch = REMOVED_EPOCH
            case TargetAssignmentStored():
                self.targets[record.member_id] = read_partitions(record.partitions)
            case TargetAssignmentRemoved():
                self.targets.pop(record.member_id, None)
            case CurrentAssignmentStored():
                old = self.members.get(record.member_id) or ConsumerMember(member_id=record.member_id)
                self._put(old.with_assignment(record))
            case CurrentAssignmentRemoved():
                self._release(record.member_id)
            case RegexStored():
                self._forget_regex(record.regex)
                topics = frozenset(record.topics)
                self.regexes[record.regex] = ResolvedRegex(topics, record.version, record.resolved_at_ms)
                self._names_by_regex.update(topics)
            case RegexRemoved():
                self._forget_regex(record.regex)
            case SubscriptionMetadataStored():
                self.has_subscription_metadata = True
            case SubscriptionMetadataRemoved():
                self.has_subscription_metadata = False
            case ConsumerGroupRemoved():
                raise AssertionError("the shard removes groups")
            case _:
                assert_never(record)

    def _put(self, member: ConsumerMember) -> None:
        old = self.members.get(member.member_id)
        self._count(old, member)
        self.members[member.member_id] = member
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id

    def _remove(self, member_id: str) -> None:
        old = self.members.pop(member_id, None)
        if old is None:
            return
        self._count(old, None)
        if old.instance_id is not None and self.static_members.get(old.instance_id) == member_id:
            del self.static_members[old.instance_id]
        self.awaited_joins.discard(member_id)

    def _release(self, member_id: str) -> None:
        old = self.members.get(member_id)
        if old is not None:
            self._put(
                msgspec.structs.replace(
                    old,
                    member_epoch=LEAVE_EPOCH,
                    previous_member_epoch=LEAVE_EPOCH,
                    assigned=NO_PARTITIONS,
                    pending_revocation=NO_PARTITIONS,
                )
            )

    def _count(self, old: ConsumerMember | None, new: ConsumerMember | None) -> None:
        if old is not None:
            self._free_partitions(old)
        if new is not None:
            self._own_partitions(new)
        if old is None or new is None or old.topics != new.topics:
            _shift(self._names, () if old is None else old.topics, () if new is None else new.topics)
        _shift(self._assignors, _assignor(old), _assignor(new))
        _shift(self.regex_members, _regex(old), _regex(new))
        _shift(self._classic_protocols, _protocols(old), _protocols(new))
        self.classic_members += int(new is not None and new.speaks_classic) - int(
            old is not None and old.speaks_classic
        )

    def _own_partitions(self, member: ConsumerMember) -> None:
        for partitions in (member.assigned, member.pending_revocation):
            for topic_id, indexes in partitions.items():
                owners = self._owner_epochs.setdefault(topic_id, {})
                owners.update(dict.fromkeys(indexes, member.member_epoch))

    def _free_partitions(self, member: ConsumerMember) -> None:
        for partitions in (member.assigned, member.pending_revocation):
            for topic_id, indexes in partitions.items():
                owners = self._owner_epochs.get(topic_id, {})
                for index in indexes:
                    # In a log that others wrote the next owner may stand before the record that let go.
                    if owners.get(index) == member.member_epoch:
                        del owners[index]
                if not owners:
                    self._owner_epochs.pop(topic_id, None)

    def _forget_regex(self, regex: str) -> None:
        resolved = self.regexes.pop(regex, None)
        if resolved is not None:
            _shift(self._names_by_regex, resolved.topics, ())


def _assignor(member: ConsumerMember | None) -> tuple[str, ...]:
    return () if member is None or member.server_assignor is None else (member.server_assignor,)


def _regex(member: ConsumerMember | None) -> tuple[str, ...]:
    return () if member is None or not member.regex else (member.regex,)


def _protocols(member: ConsumerMember | None) -> tuple[str, ...]:
    return () if member is None or member.classic is None else tuple(p.name for p in member.classic.protocols)


def _shift(counts: Counter[str], fewer: Iterable[str], more: Iterable[str]) -> None:
    """Names whose count falls to nothing are dropped."""
    for name in fewer:
        if counts[name] <= 1:
            del counts[name]
        else:
            counts[name] -= 1
    counts.update(more)
