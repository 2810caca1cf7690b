"""JoinGroup: who may enter, under which id, and whether that begins a rebalance.

KIP-394 (ids before membership), KIP-345 (static members), KIP-814 (a static leader may skip the assignment).
Source: Kafka's `GroupMetadataManager.classicGroupJoin*`, 4.1.
"""

from __future__ import annotations

from mainstem.core.group.classic_member import Member
from mainstem.core.group.classic_rebalance import (
    answer_join,
    answer_sync,
    complete_if_all_joined,
    drop,
    prepare,
    rebalance_or_complete,
    renew_session,
)
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import JoinGroup, SessionExpired
from mainstem.core.group.results import JoinResult, SyncResult
from mainstem.core.group.turn import Turn, session_timer
from mainstem.model.errors import ErrorCode


def join_problem(turn: Turn, command: JoinGroup) -> ErrorCode:
    """What is wrong with the request whatever the group may be."""
    settings = turn.settings
    if not command.group_id:
        return ErrorCode.INVALID_GROUP_ID
    if not (
        settings.group_min_session_timeout_ms <= command.session_timeout_ms <= settings.group_max_session_timeout_ms
    ):
        return ErrorCode.INVALID_SESSION_TIMEOUT
    return ErrorCode.NONE


def join(turn: Turn, group: ClassicGroup, command: JoinGroup) -> None:
    member_id = command.member_id
    if not _has_room(turn, group, member_id):
        _turn_away(turn, group, command)
    elif not group.supports(command.protocol_type, (p.name for p in command.protocols)):
        _refuse(turn, command, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, member_id)
    elif not member_id:
        _join_new(turn, group, command)
    else:
        _join_known(turn, group, command)


def _turn_away(turn: Turn, group: ClassicGroup, command: JoinGroup) -> None:
    """A member that was told the group is full does not come back; its place must not keep the rebalance
    waiting."""
    member = group.members.get(command.member_id)
    _refuse(turn, command, ErrorCode.GROUP_MAX_SIZE_REACHED, "")
    if member is not None:
        drop(turn, group, member, ErrorCode.GROUP_MAX_SIZE_REACHED)
    elif command.member_id in group.pending_joins:
        turn.cancel(session_timer(group.group_id, command.member_id))
        group.remove(command.member_id)
    else:
        return
    complete_if_all_joined(turn, group)


def _refuse(turn: Turn, command: JoinGroup, error: ErrorCode, member_id: str) -> None:
    turn.reply(command.token, JoinResult(error=error, member_id=member_id))


def _has_room(turn: Turn, group: ClassicGroup, member_id: str) -> bool:
    """While joins are gathered the parked ones count, so that of a group in excess the last to rejoin are
    out."""
    limit = turn.settings.group_max_size
    member = group.members.get(member_id)
    match group.state:
        case GroupState.EMPTY | GroupState.DEAD:
            return True
        case GroupState.PREPARING_REBALANCE:
            return (member is not None and member.is_awaiting_join) or group.joins_parked < limit
        case GroupState.COMPLETING_REBALANCE | GroupState.STABLE:
            return member is not None or len(group.members) < limit


def _join_new(turn: Turn, group: ClassicGroup, command: JoinGroup) -> None:
    new_id = command.new_member_id
    if command.group_instance_id is not None:
        old_id = group.static_members.get(command.group_instance_id)
        if old_id is None:
            _add(turn, group, command, new_id)
        else:
            _replace_static(turn, group, command, group.members[old_id])
    elif command.requires_member_id:
        group.pending_joins.add(new_id)
        turn.wake(
            session_timer(group.group_id, new_id),
            command.session_timeout_ms,
            SessionExpired(group_id=group.group_id, member_id=new_id),
        )
        _refuse(turn, command, ErrorCode.MEMBER_ID_REQUIRED, new_id)
    else:
        _add(turn, group, command, new_id)


def _join_known(turn: Turn, group: ClassicGroup, command: JoinGroup) -> None:
    member_id = command.member_id
    if member_id in group.pending_joins and command.group_instance_id is None:
        _add(turn, group, command, member_id)
        return
    problem = group.member_problem(member_id, command.group_instance_id)
    if problem is not ErrorCode.NONE:
        _refuse(turn, command, problem, member_id)
        return
    member = group.members[member_id]
    match group.state:
        case GroupState.PREPARING_REBALANCE:
            _rejoin(turn, group, command, member, "a member joins during the rebalance")
        case GroupState.COMPLETING_REBALANCE:
            if member.protocols == command.protocols:
                # The answer to its join was lost, most likely; the generation is as it was told.
                turn.reply(command.token, group.joined(member))
            else:
                _rejoin(turn, group, command, member, f"{member_id} changed its metadata")
        case GroupState.STABLE:
            if group.is_leader(member_id):
                # The leader rejoins when what it assigns changed, partitions of a topic for example.
                _rejoin(turn, group, command, member, f"leader {member_id} rejoins")
            elif member.protocols != command.protocols:
                _rejoin(turn, group, command, member, f"{member_id} changed its metadata")
            else:
                turn.reply(command.token, group.joined(member))
        case _:
            _refuse(turn, command, ErrorCode.UNKNOWN_MEMBER_ID, member_id)


def _add(turn: Turn, group: ClassicGroup, command: JoinGroup, member_id: str) -> None:
    member = Member(
        member_id=member_id,
        group_instance_id=command.group_instance_id,
        client_id=command.client_id,
        client_host=command.client_host,
        rebalance_timeout_ms=command.rebalance_timeout_ms,
        session_timeout_ms=command.session_timeout_ms,
        protocols=command.protocols,
    )
    member.is_new = True
    if group.state is GroupState.PREPARING_REBALANCE and group.previous_state is GroupState.EMPTY:
        group.was_joined_during_delay = True
    group.add(member, command.protocol_type, command.token)
    # It does not know its id yet and cannot send heartbeats; if its client gave up and came again under
    # another id, this
    # one must not stay for ever.
    renew_session(turn, group, member, turn.settings.new_member_join_timeout_ms)
    rebalance_or_complete(turn, group, f"new member {member_id}; {command.reason or 'no reason given'}")


def _rejoin(turn: Turn, group: ClassicGroup, command: JoinGroup, member: Member, reason: str) -> None:
    _park(turn, group, command, member)
    rebalance_or_complete(turn, group, f"{reason}; {command.reason or 'no reason given'}")


def _park(turn: Turn, group: ClassicGroup, command: JoinGroup, member: Member) -> None:
    """Take over what the join says and let it wait. An older join of the same member gives way: its client
    asked again."""
    answer_join(turn, group, member, JoinResult(error=ErrorCode.REBALANCE_IN_PROGRESS, member_id=member.member_id))
    group.update(member, command.protocols, command.rebalance_timeout_ms, command.session_timeout_ms)
    group.park_join(member, command.token)


def _replace_static(turn: Turn, group: ClassicGroup, command: JoinGroup, old: Member) -> None:
    """The instance restarted: whoever still uses its old id is fenced, and the group goes on if nothing else
    changes."""
    assert group.state is not GroupState.EMPTY, "an empty group has no static members"
    fenced = ErrorCode.FENCED_INSTANCE_ID
    answer_join(turn, group, old, JoinResult(error=fenced, member_id=old.member_id))
    answer_sync(turn, old, SyncResult(error=fenced))
    turn.cancel(session_timer(group.group_id, old.member_id))
    old_leader = group.leader_id
    member = group.replace_static(old, command.new_member_id)
    group.update(member, command.protocols, command.rebalance_timeout_ms, command.session_timeout_ms)
    renew_session(turn, group, member)
    if group.state is GroupState.STABLE and group.select_protocol() == group.protocol_name:
        turn.write(group.stored({m.member_id: m.assignment for m in group.members.values()}))
        if command.skips_assignment:
            result = group.joined(member, skip_assignment=group.is_leader(member.member_id))
        else:
            # A client that knows nothing of skipping must not think itself the leader: it would assign in
            # mid-generation.
            result = _as_follower(group.joined(member, with_members=False), old_leader or "")
        turn.reply(command.token, result)
        return
    group.park_join(member, command.token)
    if group.state is GroupState.PREPARING_REBALANCE:
        complete_if_all_joined(turn, group)
    else:
        # In CompletingRebalance the leader may be assigning to the old id right now; the new one would get
        # nothing.
        prepare(turn, group, f"static member {command.group_instance_id} came back as {member.member_id}")


def _as_follower(result: JoinResult, leader: str) -> JoinResult:
    return JoinResult(
        member_id=result.member_id,
        generation=result.generation,
        protocol_type=result.protocol_type,
        protocol_name=result.protocol_name,
        leader=leader,
    )
