"""What groups of the consumer protocol (KIP-848) persist, as values. `wire.stored` turns them into Kafka's bytes and back.

Partitions keep the order in which they were written, so that a record read back is written again byte for byte.
"""

from __future__ import annotations

import msgspec

from mainstem.core.group.commands import MemberProtocol

StoredPartitions = dict[bytes, tuple[int, ...]]
"""Partitions by topic id."""


class ConsumerGroupStored(msgspec.Struct, frozen=True, kw_only=True):
    """`metadata_hash` stands for the topics the group is subscribed to (KIP-1101); 0 when none of them exists."""

    group_id: str
    epoch: int
    metadata_hash: int = 0


class ConsumerGroupRemoved(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str


class SubscriptionMetadataStored(msgspec.Struct, frozen=True, kw_only=True):
    """Written by Kafka 4.0 only, before the hash took its place: `value` is kept as it lies in the log."""

    group_id: str
    value: bytes


class SubscriptionMetadataRemoved(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str


class ClassicMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a member of the classic protocol brings into a consumer group."""

    session_timeout_ms: int
    protocols: tuple[MemberProtocol, ...]


class ConsumerMemberStored(msgspec.Struct, frozen=True, kw_only=True):
    """`topics` are sorted names; `rebalance_timeout_ms` is -1 if unknown; `classic` None for members of the new protocol."""

    group_id: str
    member_id: str
    instance_id: str | None
    rack_id: str | None
    client_id: str
    client_host: str
    topics: tuple[str, ...]
    regex: str | None
    rebalance_timeout_ms: int
    server_assignor: str | None
    classic: ClassicMetadata | None = None


class ConsumerMemberRemoved(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str
    member_id: str


class TargetEpochStored(msgspec.Struct, frozen=True, kw_only=True):
    """The group epoch that the target assignment was made for."""

    group_id: str
    epoch: int


class TargetEpochRemoved(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str


class TargetAssignmentStored(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str
    member_id: str
    partitions: StoredPartitions


class TargetAssignmentRemoved(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str
    member_id: str


class CurrentAssignmentStored(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member stands on its way to its target; `state` is a code of `MemberState`."""

    group_id: str
    member_id: str
    member_epoch: int
    previous_member_epoch: int
    state: int
    assigned: StoredPartitions
    pending_revocation: StoredPartitions


class CurrentAssignmentRemoved(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str
    member_id: str


class RegexStored(msgspec.Struct, frozen=True, kw_only=True):
    """The topics (sorted) that `regex` matched at `version` of the cluster's metadata, in ms since 1970 `resolved_at_ms`."""

    group_id: str
    regex: str
    topics: tuple[str, ...]
    version: int
    resolved_at_ms: int


class RegexRemoved(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str
    regex: str


ConsumerRecord = (
    ConsumerGroupStored
    | ConsumerGroupRemoved
    | SubscriptionMetadataStored
    | SubscriptionMetadataRemoved
    | ConsumerMemberStored
    | ConsumerMemberRemoved
    | TargetEpochStored
    | TargetEpochRemoved
    | TargetAssignmentStored
    | TargetAssignmentRemoved
    | CurrentAssignmentStored
    | CurrentAssignmentRemoved
    | RegexStored
    | RegexRemoved
)
