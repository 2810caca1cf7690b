"""Heartbeats, sessions that end, and members that leave. Source: Kafka's `GroupMetadataManager`, 4.1."""

from __future__ import annotations

from mainstem.core.group.classic_rebalance import (
    complete,
    complete_if_all_joined,
    drop,
    rebalance_or_complete,
    renew_session,
)
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import Heartbeat, LeaveGroup, LeavingMember, SessionExpired
from mainstem.core.group.results import HeartbeatResult, LeaveResult, LeftMember
from mainstem.core.group.turn import Turn, session_timer
from mainstem.model.errors import ErrorCode


def heartbeat(turn: Turn, group: ClassicGroup, command: Heartbeat) -> None:
    error = group.member_problem(command.member_id, command.group_instance_id)
    if error is ErrorCode.NONE and command.generation != group.generation:
        error = ErrorCode.ILLEGAL_GENERATION
    if error is ErrorCode.NONE:
        renew_session(turn, group, group.members[command.member_id])
        if group.state is GroupState.PREPARING_REBALANCE:
            error = ErrorCode.REBALANCE_IN_PROGRESS
    turn.reply(command.token, HeartbeatResult(error=error))


def session_expired(turn: Turn, group: ClassicGroup, command: SessionExpired) -> None:
    member_id = command.member_id
    if member_id in group.pending_joins:
        group.remove(member_id)
        _complete_if_nobody_is_missing(turn, group)
        return
    member = group.members.get(member_id)
    if member is None or member.satisfies_heartbeat():
        return
    turn.note("group.session_expired", group_id=group.group_id, member_id=member_id)
    drop(turn, group, member)
    if group.can_rebalance:
        rebalance_or_complete(turn, group, f"the session of {member_id} expired")
    else:
        _complete_if_nobody_is_missing(turn, group)


def _complete_if_nobody_is_missing(turn: Turn, group: ClassicGroup) -> None:
    if group.state is GroupState.PREPARING_REBALANCE and group.has_all_joined:
        complete(turn, group)


def leave(turn: Turn, group: ClassicGroup, command: LeaveGroup) -> None:
    """An administrator may take static members out by instance id alone. Members are answered one by one."""
    left = tuple(_leave_one(turn, group, member) for member in command.members)
    turn.reply(command.token, LeaveResult(members=left))
    if any(m.error is ErrorCode.NONE for m in left):
        if group.state in (GroupState.STABLE, GroupState.COMPLETING_REBALANCE):
            rebalance_or_complete(turn, group, "members left")
        else:
            complete_if_all_joined(turn, group)


def _leave_one(turn: Turn, group: ClassicGroup, leaving: LeavingMember) -> LeftMember:
    member_id, instance_id = leaving.member_id, leaving.group_instance_id
    error = ErrorCode.NONE
    if not member_id:
        known = group.static_members.get(instance_id) if instance_id is not None else None
        if known is None:
            error = ErrorCode.UNKNOWN_MEMBER_ID
        else:
            drop(turn, group, group.members[known])
    elif member_id in group.pending_joins:
        group.remove(member_id)
        turn.cancel(session_timer(group.group_id, member_id))
    else:
        error = group.member_problem(member_id, instance_id)
        if error is ErrorCode.NONE:
            drop(turn, group, group.members[member_id])
    return LeftMember(member_id, instance_id, error)
