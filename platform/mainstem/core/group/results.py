"""What a shard of groups answers. `error` NONE and the other fields, or an error and their defaults."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mainstem.model.errors import ErrorCode


class JoinedMember(msgspec.Struct, frozen=True):
    member_id: str
    group_instance_id: str | None
    metadata: bytes


class JoinResult(msgspec.Struct, frozen=True, kw_only=True):
    """`members` is filled for the leader only. `skip_assignment`: a returning static leader keeps the
    assignment (KIP-814)."""

    error: ErrorCode = ErrorCode.NONE
    member_id: str = ""
    generation: int = -1
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader: str = ""
    skip_assignment: bool = False
    members: tuple[JoinedMember, ...] = ()


class SyncResult(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorCode = ErrorCode.NONE
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: bytes = b""


class HeartbeatResult(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorCode = ErrorCode.NONE


class LeftMember(msgspec.Struct, frozen=True):
    member_id: str
    group_instance_id: str | None
    error: ErrorCode = ErrorCode.NONE


class LeaveResult(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorCode = ErrorCode.NONE
    members: tuple[LeftMember, ...] = ()


class OffsetError(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    error: ErrorCode


class CommitResult(msgspec.Struct, frozen=True, kw_only=True):
    """In the order of the command."""

    offsets: tuple[OffsetError, ...] = ()


class FetchedOffset(msgspec.Struct, frozen=True, kw_only=True):
    """`offset` is -1 where nothing was committed."""

    topic: str
    partition: int
    offset: int = -1
    leader_epoch: int = -1
    metadata: str = ""
    error: ErrorCode = ErrorCode.NONE


class FetchResult(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorCode = ErrorCode.NONE
    offsets: tuple[FetchedOffset, ...] = ()


class MemberDescription(msgspec.Struct, frozen=True, kw_only=True):
    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


class GroupDescription(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    group_id: str
    state: str = ""
    protocol_type: str = ""
    protocol: str = ""
    members: tuple[MemberDescription, ...] = ()


class DescribeResult(msgspec.Struct, frozen=True, kw_only=True):
    group: GroupDescription


class GroupListing(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str
    protocol_type: str
    state: str
    type: str


class ListResult(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorCode = ErrorCode.NONE
    groups: tuple[GroupListing, ...] = ()


class RemoveResult(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorCode = ErrorCode.NONE


class ConsumerHeartbeatResult(msgspec.Struct, frozen=True, kw_only=True):
    """`assignment` (partitions by topic id) is given when it changed or the member asked for everything, else None."""

    error: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    member_id: str | None = None
    member_epoch: int = 0
    heartbeat_interval_ms: int = 0
    assignment: Mapping[bytes, frozenset[int]] | None = None


class TopicPartitionsDescription(msgspec.Struct, frozen=True):
    topic_id: bytes
    topic: str
    partitions: tuple[int, ...]


class ConsumerMemberDescription(msgspec.Struct, frozen=True, kw_only=True):
    member_id: str
    instance_id: str | None
    rack_id: str | None
    member_epoch: int
    client_id: str
    client_host: str
    topics: tuple[str, ...]
    regex: str | None
    assignment: tuple[TopicPartitionsDescription, ...]
    target: tuple[TopicPartitionsDescription, ...]
    speaks_classic: bool


class ConsumerGroupDescription(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    group_id: str
    state: str = ""
    epoch: int = 0
    target_epoch: int = 0
    assignor: str = ""
    members: tuple[ConsumerMemberDescription, ...] = ()


class ConsumerDescribeResult(msgspec.Struct, frozen=True, kw_only=True):
    group: ConsumerGroupDescription


class DeleteOffsetsResult(msgspec.Struct, frozen=True, kw_only=True):
    """In the order of the command; `error` is the group's."""

    error: ErrorCode = ErrorCode.NONE
    offsets: tuple[OffsetError, ...] = ()
