"""What can be asked of a shard of groups. Every command can say how it is refused as a whole (`refused`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainstem.core.group.results import (
    CommitResult,
    ConsumerDescribeResult,
    ConsumerGroupDescription,
    ConsumerHeartbeatResult,
    DeleteOffsetsResult,
    DescribeResult,
    FetchResult,
    GroupDescription,
    HeartbeatResult,
    JoinResult,
    LeaveResult,
    LeftMember,
    ListResult,
    OffsetError,
    RemoveResult,
    SyncResult,
)
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition


class MemberProtocol(msgspec.Struct, frozen=True):
    """An assignor the member knows, and its subscription in that assignor's form."""

    name: str
    metadata: bytes


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`token` comes back in the reply; None where nobody waits (timers)."""

    token: Any = None

    def refused(self, error: ErrorCode) -> Any:
        """The result that says `error` and nothing else."""
        raise AssertionError(f"{type(self).__name__} does not say how it is refused")


class JoinGroup(Command, frozen=True, kw_only=True):
    """`new_member_id` is used if the coordinator has to name the member. `requires_member_id`: JoinGroup 4
    and later (KIP-394);
    `skips_assignment`: JoinGroup 9 and later (KIP-814)."""

    group_id: str
    member_id: str
    new_member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: tuple[MemberProtocol, ...]
    requires_member_id: bool
    skips_assignment: bool
    reason: str = ""

    def refused(self, error: ErrorCode) -> JoinResult:
        return JoinResult(error=error, member_id=self.member_id)


class SyncGroup(Command, frozen=True, kw_only=True):
    """`assignments` by member id; only the leader's count."""

    group_id: str
    generation: int
    member_id: str
    group_instance_id: str | None
    protocol_type: str | None
    protocol_name: str | None
    assignments: dict[str, bytes]

    def refused(self, error: ErrorCode) -> SyncResult:
        return SyncResult(error=error)


class Heartbeat(Command, frozen=True, kw_only=True):
    group_id: str
    generation: int
    member_id: str
    group_instance_id: str | None

    def refused(self, error: ErrorCode) -> HeartbeatResult:
        # A group that is still being read back cannot know the member; telling it so would make it rejoin for
        # nothing.
        return HeartbeatResult(error=ErrorCode.NONE if error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS else error)


class LeavingMember(msgspec.Struct, frozen=True):
    """A static member may be named by its instance id alone; then `member_id` is empty."""

    member_id: str
    group_instance_id: str | None
    reason: str | None = None


class LeaveGroup(Command, frozen=True, kw_only=True):
    group_id: str
    members: tuple[LeavingMember, ...]

    def refused(self, error: ErrorCode) -> LeaveResult:
        if error is not ErrorCode.UNKNOWN_MEMBER_ID:
            return LeaveResult(error=error)
        return LeaveResult(members=tuple(LeftMember(m.member_id, m.group_instance_id, error) for m in self.members))


class OffsetToCommit(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    partition: int
    offset: int
    leader_epoch: int = -1
    metadata: str = ""


class CommitOffsets(Command, frozen=True, kw_only=True):
    """`generation` is negative for a commit without membership. `retention_time_ms` is -1 for the broker's
    own.
    `knows_member_epochs`: OffsetCommit 9 and later (KIP-848); it also knows GROUP_ID_NOT_FOUND."""

    group_id: str
    generation: int
    member_id: str
    group_instance_id: str | None
    offsets: tuple[OffsetToCommit, ...]
    retention_time_ms: int = -1
    knows_member_epochs: bool = True

    def refused(self, error: ErrorCode) -> CommitResult:
        return CommitResult(offsets=tuple(OffsetError(o.topic, o.partition, error) for o in self.offsets))


class CommitTransactionalOffsets(Command, frozen=True, kw_only=True):
    """`generation` is negative, and `member_id` empty, where the client does not say. `admission` is what the log of the group's
    partition wants to see (`core.log.verification`)."""

    group_id: str
    producer_id: int
    producer_epoch: int
    generation: int
    member_id: str
    group_instance_id: str | None
    offsets: tuple[OffsetToCommit, ...]
    admission: Any = None

    def refused(self, error: ErrorCode) -> CommitResult:
        return CommitResult(offsets=tuple(OffsetError(o.topic, o.partition, error) for o in self.offsets))


class FetchOffsets(Command, frozen=True, kw_only=True):
    """`partitions` None asks for all. `require_stable` refuses partitions with offsets of an open transaction
    (KIP-447). `member_id` None and `member_epoch` -1 for whoever is no member (OffsetFetch 9, KIP-848)."""

    group_id: str
    partitions: tuple[TopicPartition, ...] | None
    require_stable: bool = False
    member_id: str | None = None
    member_epoch: int = -1

    def refused(self, error: ErrorCode) -> FetchResult:
        # Consumers before 3.9 do not know COORDINATOR_NOT_AVAILABLE here and would give up; NOT_COORDINATOR
        # they retry.
        if error is ErrorCode.COORDINATOR_NOT_AVAILABLE:
            error = ErrorCode.NOT_COORDINATOR
        return FetchResult(error=error)


class DescribeGroup(Command, frozen=True, kw_only=True):
    """`knows_group_id_not_found`: DescribeGroups 6 and later (KIP-1043)."""

    group_id: str
    knows_group_id_not_found: bool = False

    def refused(self, error: ErrorCode) -> DescribeResult:
        return DescribeResult(group=GroupDescription(error=error, group_id=self.group_id))


class ListGroups(Command, frozen=True, kw_only=True):
    """Filters are lower case; empty means everything."""

    states: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def refused(self, error: ErrorCode) -> ListResult:
        return ListResult(error=error)


class RemoveGroup(Command, frozen=True, kw_only=True):
    group_id: str

    def refused(self, error: ErrorCode) -> RemoveResult:
        return RemoveResult(error=error)


class DeleteOffsets(Command, frozen=True, kw_only=True):
    """Forget single offsets (OffsetDelete, KIP-496)."""

    group_id: str
    partitions: tuple[TopicPartition, ...]

    def refused(self, error: ErrorCode) -> DeleteOffsetsResult:
        return DeleteOffsetsResult(error=error)


class ConsumerHeartbeat(Command, frozen=True, kw_only=True):
    """What a member says of itself; None (-1 for the timeout) where it says that nothing changed. `member_epoch` 0 joins,
    -1 leaves, -2 is a static member that will be back. `owned`: partitions by topic id. `needs_own_id`: version 1 and later, where
    clients choose their ids (KIP-1082); `new_member_id` is used for those who do not."""

    group_id: str
    member_id: str
    new_member_id: str
    member_epoch: int
    instance_id: str | None = None
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    topics: frozenset[str] | None = None
    regex: str | None = None
    server_assignor: str | None = None
    owned: Mapping[bytes, frozenset[int]] | None = None
    client_id: str
    client_host: str
    needs_own_id: bool = True

    def refused(self, error: ErrorCode, message: str | None = None) -> ConsumerHeartbeatResult:
        return ConsumerHeartbeatResult(error=error, error_message=message)


class DescribeConsumerGroup(Command, frozen=True, kw_only=True):
    group_id: str

    def refused(self, error: ErrorCode) -> ConsumerDescribeResult:
        return ConsumerDescribeResult(group=ConsumerGroupDescription(error=error, group_id=self.group_id))


class TopicsChanged(Command, frozen=True, kw_only=True):
    """Topics were created, deleted, widened or moved to other racks."""

    topics: frozenset[str]


class RefreshRegexes(Command, frozen=True, kw_only=True):
    """Resolve the regular expressions that a group is subscribed by."""

    group_id: str


class RevocationExpired(Command, frozen=True, kw_only=True):
    """The member had its rebalance timeout to let go of partitions and leave `member_epoch`."""

    group_id: str
    member_id: str
    member_epoch: int


class RejoinExpired(Command, frozen=True, kw_only=True):
    """A classic member of a consumer group was told to rejoin and did not."""

    group_id: str
    member_id: str


class ResyncExpired(Command, frozen=True, kw_only=True):
    """A classic member of a consumer group joined and did not ask for its assignment."""

    group_id: str
    member_id: str


class RemoveTopicOffsets(Command, frozen=True, kw_only=True):
    """Topics were deleted: what was committed for them goes too."""

    topics: frozenset[str]


class ExpireOffsets(Command, frozen=True, kw_only=True):
    """Forget offsets past their retention, and groups left with nothing. Comes back by itself."""


class SessionExpired(Command, frozen=True, kw_only=True):
    group_id: str
    member_id: str


class JoinPhaseExpired(Command, frozen=True, kw_only=True):
    """The rebalance timeout is over: go on with those who joined."""

    group_id: str


class InitialDelayOver(Command, frozen=True, kw_only=True):
    """The wait before the first generation is over; it may be prolonged while members still come, up to
    `remaining_ms`."""

    group_id: str
    delay_ms: int
    remaining_ms: int


class SyncPhaseExpired(Command, frozen=True, kw_only=True):
    """Members that joined `generation` and did not ask for their assignment in time are gone."""

    group_id: str
    generation: int


GroupCommand = (
    JoinGroup
    | SyncGroup
    | Heartbeat
    | LeaveGroup
    | CommitOffsets
    | CommitTransactionalOffsets
    | FetchOffsets
    | DescribeGroup
    | ListGroups
    | RemoveGroup
    | RemoveTopicOffsets
    | ExpireOffsets
    | SessionExpired
    | JoinPhaseExpired
    | InitialDelayOver
    | SyncPhaseExpired
    | DeleteOffsets
    | ConsumerHeartbeat
    | DescribeConsumerGroup
    | TopicsChanged
    | RefreshRegexes
    | RevocationExpired
    | RejoinExpired
    | ResyncExpired
)
