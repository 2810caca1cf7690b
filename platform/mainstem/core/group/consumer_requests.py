"""From a group id to the consumer group that a heartbeat means: found, made, or made out of a classic group.

Source: Kafka's `GroupMetadataManager.getOrMaybeCreateConsumerGroup`, 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import ConsumerHeartbeat
from mainstem.core.group.consumer_fencing import leave
from mainstem.core.group.consumer_heartbeat import heartbeat, request_problem
from mainstem.core.group.consumer_liveness import renew_session, time_revocation
from mainstem.core.group.consumer_member import JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH
from mainstem.core.group.consumer_records import (
    ConsumerGroupRemoved,
    ConsumerMemberRemoved,
    ConsumerRecord,
    CurrentAssignmentRemoved,
    RegexRemoved,
    SubscriptionMetadataRemoved,
    TargetAssignmentRemoved,
    TargetEpochRemoved,
)
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.conversion import let_rejoin, upgrade
from mainstem.core.group.records import GroupRemoved
from mainstem.core.group.refusal import Refusal
from mainstem.core.group.results import ConsumerHeartbeatResult
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode

Group = ClassicGroup | ConsumerGroup

_REMOVALS = (
    ConsumerGroupRemoved,
    ConsumerMemberRemoved,
    CurrentAssignmentRemoved,
    RegexRemoved,
    SubscriptionMetadataRemoved,
    TargetAssignmentRemoved,
    TargetEpochRemoved,
)


def consumer_heartbeat(turn: Turn, groups: Mapping[str, Group], command: ConsumerHeartbeat) -> None:
    result: ConsumerHeartbeatResult | Refusal
    found = groups.get(command.group_id)
    problem = request_problem(turn.settings, command)
    if problem is not None:
        result = problem
    elif command.member_epoch in (LEAVE_EPOCH, LEAVE_STATIC_EPOCH):
        result = (
            leave(turn, found, command) if isinstance(found, ConsumerGroup) else not_consumer(command.group_id, found)
        )
    else:
        group = _group_for(turn, found, command)
        result = group if isinstance(group, Refusal) else heartbeat(turn, group, command)
    if isinstance(result, Refusal):
        turn.take_back()
        turn.reply(command.token, command.refused(result.error, result.message))
        return
    if isinstance(found, ClassicGroup):
        let_rejoin(turn, found)
    turn.reply(command.token, result)


def not_consumer(group_id: str, found: Group | None) -> Refusal:
    what = "not found" if found is None else "is not a consumer group"
    return Refusal(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} {what}.")


def _group_for(turn: Turn, found: Group | None, command: ConsumerHeartbeat) -> ConsumerGroup | Refusal:
    group_id = command.group_id
    if isinstance(found, ConsumerGroup):
        return found
    if command.member_epoch != JOIN_EPOCH:
        if found is None:
            return Refusal(ErrorCode.GROUP_ID_NOT_FOUND, f"Consumer group {group_id} not found.")
        return not_consumer(group_id, found)
    if found is None:
        return ConsumerGroup(group_id)
    if found.state is GroupState.EMPTY:
        turn.write(GroupRemoved(group_id=group_id))
        return ConsumerGroup(group_id)
    return upgrade(turn, found)


def apply_consumer_record(groups: dict[str, Group], record: ConsumerRecord) -> None:
    """Tombstones for what is not there are left behind by compaction and mean nothing."""
    group = groups.get(record.group_id)
    if not isinstance(group, ConsumerGroup):
        if isinstance(record, _REMOVALS):
            return
        # A classic group may stand here that only holds offsets, which were read first.
        group = groups[record.group_id] = ConsumerGroup(record.group_id)
    if isinstance(record, ConsumerGroupRemoved):
        del groups[record.group_id]
    else:
        group.apply(record)


def resume(turn: Turn, group: ConsumerGroup) -> None:
    """The group was read back: members get a whole session to show up, and their time to let go of partitions anew."""
    timeout_ms = turn.cluster.consumer_timeouts(group.group_id).session_timeout_ms
    for member in group.members.values():
        renew_session(turn, group, member.member_id, timeout_ms)
        time_revocation(turn, group, member)


def resume_members(turn: Turn, group: ConsumerGroup, member_ids: set[str]) -> None:
    """They were to go, and that could not be written: the timer that found them late is over, so they get another."""
    timeout_ms = turn.cluster.consumer_timeouts(group.group_id).session_timeout_ms
    for member_id in member_ids & group.members.keys():
        renew_session(turn, group, member_id, timeout_ms)
        time_revocation(turn, group, group.members[member_id])
