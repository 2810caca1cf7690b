"""ConsumerGroupHeartbeat: a member joins, says what changed, acknowledges what it gave up, and hears what it has.

    1. the member is put in or changed  -> group epoch + 1 if its subscription is another one
    2. target older than the group epoch -> a new target for everybody
    3. the member takes its next step towards its target

A heartbeat that changes nothing costs the same however many members there are. KIP-848, KIP-1082 (clients choose their ids),
KIP-345 (static members). Source: Kafka's `GroupMetadataManager.consumerGroupHeartbeat`, 4.1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from mainstem.core.group.commands import ConsumerHeartbeat
from mainstem.core.group.consumer_assignment import update_target
from mainstem.core.group.consumer_liveness import renew_session, time_revocation
from mainstem.core.group.consumer_member import (
    JOIN_EPOCH,
    LEAVE_EPOCH,
    LEAVE_STATIC_EPOCH,
    ConsumerMember,
    Partitions,
    is_subset,
    stored_partitions,
)
from mainstem.core.group.consumer_metadata import update_metadata
from mainstem.core.group.consumer_reconciliation import reconcile
from mainstem.core.group.consumer_records import (
    ConsumerMemberRemoved,
    CurrentAssignmentRemoved,
    TargetAssignmentRemoved,
    TargetAssignmentStored,
)
from mainstem.core.group.consumer_regex import update_regexes
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.refusal import Refusal
from mainstem.core.group.results import ConsumerHeartbeatResult
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode


class Joining(NamedTuple):
    """`old` is the member as the group knows it, None if it is new; `start` the same or what it begins as."""

    old: ConsumerMember | None
    start: ConsumerMember


def request_problem(settings: GroupSettings, command: ConsumerHeartbeat) -> Refusal | None:
    """What is wrong with the request whatever the group may be. Source: Kafka's `GroupCoordinatorService`, 4.1."""
    epoch = command.member_epoch
    invalid = None
    if not command.member_id.strip() and (command.needs_own_id or epoch > JOIN_EPOCH or epoch == LEAVE_EPOCH):
        invalid = "MemberId can't be empty."
    elif not command.group_id.strip():
        invalid = "GroupId can't be empty."
    elif command.instance_id is not None and not command.instance_id.strip():
        invalid = "InstanceId can't be empty."
    elif command.rack_id is not None and not command.rack_id.strip():
        invalid = "RackId can't be empty."
    elif epoch == JOIN_EPOCH and command.rebalance_timeout_ms == -1:
        invalid = "RebalanceTimeoutMs must be provided in first request."
    elif epoch == JOIN_EPOCH and (command.owned is None or command.owned):
        invalid = "TopicPartitions must be empty when (re-)joining."
    elif epoch == JOIN_EPOCH and command.topics is None and command.regex is None:
        invalid = "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."
    elif epoch == LEAVE_STATIC_EPOCH and command.instance_id is None:
        invalid = "InstanceId can't be null."
    elif epoch < LEAVE_STATIC_EPOCH:
        invalid = "MemberEpoch is invalid."
    if invalid is not None:
        return Refusal(ErrorCode.INVALID_REQUEST, invalid)
    assignor = command.server_assignor
    if assignor is not None and assignor not in settings.consumer_assignors:
        return Refusal(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {assignor} is not supported. "
            f"Supported assignors: {', '.join(settings.consumer_assignors)}.",
        )
    return None


def heartbeat(turn: Turn, group: ConsumerGroup, command: ConsumerHeartbeat) -> ConsumerHeartbeatResult | Refusal:
    """`group` may be one that is not written yet: then everything it has so far is in the turn's records already."""
    member_id = command.member_id or command.new_member_id
    full = group_full_problem(turn.settings, group, command.member_id)
    if full is not None:
        return full
    joining = _member(turn, group, command, member_id)
    if isinstance(joining, Refusal):
        return joining
    member = _updated(joining.start, command)
    must_bump = group.epoch == 0
    if member is not joining.start and member != joining.start:
        turn.write(member.subscription_record(group.group_id))
        must_bump = must_bump or member.topics != joining.start.topics
    if member.regex or joining.start.regex or group.regex_members:
        change = update_regexes(turn, group, joining.old, member)
        if isinstance(change, Refusal):
            return change
        must_bump = must_bump or change.must_bump
    settled = settle_member(turn, group, joining, member, must_bump, command.owned)
    if isinstance(settled, Refusal):
        return settled
    timeouts = turn.cluster.consumer_timeouts(group.group_id)
    renew_session(turn, group, settled.member_id, timeouts.session_timeout_ms)
    says_all = (
        command.rebalance_timeout_ms != -1
        and (command.topics is not None or command.regex is not None)
        and command.owned is not None
    )
    is_told = command.member_epoch == JOIN_EPOCH or says_all or settled.assigned != joining.start.assigned
    return ConsumerHeartbeatResult(
        member_id=settled.member_id,
        member_epoch=settled.member_epoch,
        heartbeat_interval_ms=timeouts.heartbeat_interval_ms,
        assignment=settled.assigned if is_told else None,
    )


def settle_member(
    turn: Turn,
    group: ConsumerGroup,
    joining: Joining,
    member: ConsumerMember,
    must_bump: bool,
    owned: Partitions | None,
) -> ConsumerMember | Refusal:
    """Steps 1 to 3 for a member whose subscription is written: the group's epoch, its target, the member's next step."""
    epoch = group.epoch
    if must_bump or group.must_refresh_metadata(turn.now_ms):
        epoch = update_metadata(turn, group, must_bump, joining.old, member)
    target_epoch = group.target_epoch
    if epoch > target_epoch:
        target = update_target(turn, group, epoch, joining.old, member)
        target_epoch = epoch
    else:
        target = group.target_of(member.member_id, member.instance_id)
    if member.is_reconciled_to(target_epoch):
        return member
    moved = reconcile(member, target_epoch, target, group.owner_epoch, owned)
    if isinstance(moved, ConsumerMember) and moved != member:
        turn.write(moved.assignment_record(group.group_id))
        time_revocation(turn, group, moved)
    return moved


def group_full_problem(settings: GroupSettings, group: ConsumerGroup, member_id: str) -> Refusal | None:
    if len(group.members) < settings.consumer_max_size or member_id in group.members:
        return None
    return Refusal(
        ErrorCode.GROUP_MAX_SIZE_REACHED,
        f"The consumer group has reached its maximum capacity of {settings.consumer_max_size} members.",
    )


def _member(turn: Turn, group: ConsumerGroup, command: ConsumerHeartbeat, member_id: str) -> Joining | Refusal:
    joins = command.member_epoch == JOIN_EPOCH
    if command.instance_id is not None:
        return _static_member(turn, group, command, member_id, joins)
    known = group.members.get(member_id)
    if known is None:
        if not joins:
            return unknown_member(group, member_id)
        return Joining(None, ConsumerMember(member_id=member_id))
    return _epoch_problem(known, command) or Joining(known, known)


def unknown_member(group: ConsumerGroup, member_id: str) -> Refusal:
    return Refusal(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {group.group_id}.")


def _static_member(
    turn: Turn, group: ConsumerGroup, command: ConsumerHeartbeat, member_id: str, joins: bool
) -> Joining | Refusal:
    known = group.static_member(command.instance_id)
    if not joins:
        problem = instance_problem(known, member_id, command.instance_id)
        if problem is not None:
            return problem
        assert known is not None, "instance_problem refuses unknown instances"
        return _epoch_problem(known, command) or Joining(known, known)
    if known is None:
        existing = group.members.get(member_id)
        return Joining(existing, existing or ConsumerMember(member_id=member_id))
    if not known.speaks_classic and known.member_epoch != LEAVE_STATIC_EPOCH:
        return Refusal(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"Static member {member_id} with instance id {command.instance_id} cannot join the group because the "
            f"instance id is owned by {known.member_id} member.",
        )
    return replace_static(turn, group, known, member_id)


def replace_static(turn: Turn, group: ConsumerGroup, known: ConsumerMember, member_id: str) -> Joining:
    """The instance came back under a new id: it takes over everything the old one had. The old one's timers find nobody."""
    start = msgspec.structs.replace(known, member_id=member_id, member_epoch=JOIN_EPOCH, previous_member_epoch=0)
    remove_member(turn, group, known.member_id)
    turn.write(start.subscription_record(group.group_id))
    turn.write(
        TargetAssignmentStored(
            group_id=group.group_id,
            member_id=member_id,
            partitions=stored_partitions(group.targets.get(known.member_id, {})),
        )
    )
    turn.write(start.assignment_record(group.group_id))
    return Joining(known, start)


def remove_member(turn: Turn, group: ConsumerGroup, member_id: str) -> None:
    """In the order that a reader of the log needs."""
    turn.write(CurrentAssignmentRemoved(group_id=group.group_id, member_id=member_id))
    turn.write(TargetAssignmentRemoved(group_id=group.group_id, member_id=member_id))
    turn.write(ConsumerMemberRemoved(group_id=group.group_id, member_id=member_id))


def instance_problem(known: ConsumerMember | None, member_id: str, instance_id: str | None) -> Refusal | None:
    if known is None:
        return Refusal(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown.")
    if known.member_id != member_id:
        return Refusal(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} with instance id {instance_id} was fenced by member {known.member_id}.",
        )
    return None


def _epoch_problem(member: ConsumerMember, command: ConsumerHeartbeat) -> Refusal | None:
    said, known = command.member_epoch, member.member_epoch
    if said == known:
        return None
    if said == member.previous_member_epoch and said < known and is_subset(command.owned, member.assigned):
        # The answer that told it the new epoch was lost.
        return None
    how = "greater" if said > known else "smaller"
    return Refusal(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The consumer group member has a {how} member epoch ({said}) than the one known by the group coordinator "
        f"({known}). The member must abandon all its partitions and rejoin.",
    )


def _updated(member: ConsumerMember, command: ConsumerHeartbeat) -> ConsumerMember:
    """`member` itself if the heartbeat says nothing new."""
    said: dict[str, Any] = {}
    if command.instance_id is not None and command.instance_id != member.instance_id:
        said["instance_id"] = command.instance_id
    if command.rack_id is not None and command.rack_id != member.rack_id:
        said["rack_id"] = command.rack_id
    if command.rebalance_timeout_ms not in (-1, member.rebalance_timeout_ms):
        said["rebalance_timeout_ms"] = command.rebalance_timeout_ms
    if command.server_assignor is not None and command.server_assignor != member.server_assignor:
        said["server_assignor"] = command.server_assignor
    if command.topics is not None and command.topics != member.topics:
        said["topics"] = command.topics
    if command.regex is not None and command.regex != member.regex:
        said["regex"] = command.regex
    if command.client_id != member.client_id:
        said["client_id"] = command.client_id
    if command.client_host != member.client_host:
        said["client_host"] = command.client_host
    if member.classic is not None:
        said["classic"] = None
    return msgspec.structs.replace(member, **said) if said else member
