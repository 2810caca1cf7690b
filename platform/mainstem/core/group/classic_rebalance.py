"""From one generation to the next: gather joins, drop who does not come, elect, choose the protocol, await
syncs.

Source: Kafka's `GroupMetadataManager` (`prepareRebalance`, `completeClassicGroupJoin` and what is around
them), 4.1.
"""

from __future__ import annotations

from mainstem.core.group.classic_member import Member
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import (
    InitialDelayOver,
    JoinPhaseExpired,
    SessionExpired,
    SyncPhaseExpired,
)
from mainstem.core.group.records import GroupStored
from mainstem.core.group.results import JoinResult, SyncResult
from mainstem.core.group.turn import Turn, join_timer, session_timer, sync_timer
from mainstem.model.errors import ErrorCode


def rebalance_or_complete(turn: Turn, group: ClassicGroup, reason: str) -> None:
    """Membership changed: begin a rebalance, or end the join phase of the one that runs if everybody is there
    now."""
    if group.can_rebalance:
        prepare(turn, group, reason)
    else:
        complete_if_all_joined(turn, group)


def complete_if_all_joined(turn: Turn, group: ClassicGroup) -> None:
    """The first generation is never completed early: its delay is there for members that are about to start
    too."""
    if (
        group.state is GroupState.PREPARING_REBALANCE
        and group.previous_state is not GroupState.EMPTY
        and group.has_all_joined
    ):
        complete(turn, group)


def prepare(turn: Turn, group: ClassicGroup, reason: str) -> None:
    if group.state is GroupState.COMPLETING_REBALANCE:
        for member in group.members.values():
            member.assignment = b""
            answer_sync(turn, member, SyncResult(error=ErrorCode.REBALANCE_IN_PROGRESS))
    group.pending_syncs.clear()
    turn.cancel(sync_timer(group.group_id))
    is_first = group.state is GroupState.EMPTY
    turn.note("group.rebalance", group_id=group.group_id, generation=group.generation, reason=reason)
    group.enter(GroupState.PREPARING_REBALANCE, turn.now_ms)
    if is_first:
        delay_ms = turn.settings.group_initial_rebalance_delay_ms
        remaining_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
        _await_more(turn, group, delay_ms, remaining_ms)
    elif group.has_all_joined:
        complete(turn, group)
    else:
        turn.wake(join_timer(group.group_id), group.rebalance_timeout_ms, JoinPhaseExpired(group_id=group.group_id))


def _await_more(turn: Turn, group: ClassicGroup, delay_ms: int, remaining_ms: int) -> None:
    command = InitialDelayOver(group_id=group.group_id, delay_ms=delay_ms, remaining_ms=remaining_ms)
    turn.wake(join_timer(group.group_id), delay_ms, command)


def initial_delay_over(turn: Turn, group: ClassicGroup, command: InitialDelayOver) -> None:
    if group.state is not GroupState.PREPARING_REBALANCE:
        return
    if group.was_joined_during_delay and command.remaining_ms:
        group.was_joined_during_delay = False
        delay_ms = min(turn.settings.group_initial_rebalance_delay_ms, command.remaining_ms)
        _await_more(turn, group, delay_ms, max(command.remaining_ms - command.delay_ms, 0))
    else:
        complete(turn, group)


def complete(turn: Turn, group: ClassicGroup) -> None:
    """End the join phase with those who joined; static members may be absent, dynamic ones are out."""
    turn.cancel(join_timer(group.group_id))
    for member in [m for m in group.members.values() if not m.is_awaiting_join and m.group_instance_id is None]:
        turn.note("group.member_did_not_rejoin", group_id=group.group_id, member_id=member.member_id)
        group.remove(member.member_id)
        turn.cancel(session_timer(group.group_id, member.member_id))
    if not group.members:
        _complete_empty(turn, group)
    elif not _elect_joined_leader(group):
        # Only static members are left and none of them came back: wait on, until their sessions end.
        turn.wake(join_timer(group.group_id), group.rebalance_timeout_ms, JoinPhaseExpired(group_id=group.group_id))
    else:
        _begin_generation(turn, group)


def _complete_empty(turn: Turn, group: ClassicGroup) -> None:
    """Written, then taken over by `ClassicGroup.settle`: the group is Empty in a generation of its own."""
    turn.write(
        GroupStored(
            group_id=group.group_id,
            protocol_type=group.protocol_type or "",
            generation=group.generation + 1,
            protocol=None,
            leader=None,
            state_since_ms=turn.now_ms,
            members=(),
        )
    )


def _elect_joined_leader(group: ClassicGroup) -> bool:
    """A leader that did not join cannot assign; the first member that did takes over. False if nobody
    joined."""
    leader = group.members.get(group.leader_id or "")
    if leader is None or not leader.is_awaiting_join:
        leader = next((m for m in group.members.values() if m.is_awaiting_join), None)
        if leader is None:
            return False
        group.leader_id = leader.member_id
    return True


def _begin_generation(turn: Turn, group: ClassicGroup) -> None:
    group.generation += 1
    group.protocol_name = group.select_protocol()
    group.was_joined_during_delay = False
    group.enter(GroupState.COMPLETING_REBALANCE, turn.now_ms)
    group.pending_syncs = set(group.members)
    for member in group.members.values():
        answer_join(turn, group, member, group.joined(member))
        member.is_new = False
        renew_session(turn, group, member)
    command = SyncPhaseExpired(group_id=group.group_id, generation=group.generation)
    turn.wake(sync_timer(group.group_id), group.rebalance_timeout_ms, command)


def sync_phase_expired(turn: Turn, group: ClassicGroup, command: SyncPhaseExpired) -> None:
    running = group.state in (GroupState.COMPLETING_REBALANCE, GroupState.STABLE)
    if command.generation != group.generation or not running or not group.pending_syncs:
        return
    absent = sorted(group.pending_syncs)
    for member_id in absent:
        drop(turn, group, group.members[member_id])
    prepare(turn, group, f"{', '.join(absent)} did not ask for an assignment in time")


def renew_session(turn: Turn, group: ClassicGroup, member: Member, timeout_ms: int | None = None) -> None:
    """`timeout_ms` None stands for the member's own session timeout."""
    turn.wake(
        session_timer(group.group_id, member.member_id),
        member.session_timeout_ms if timeout_ms is None else timeout_ms,
        SessionExpired(group_id=group.group_id, member_id=member.member_id),
        times_silence=True,
    )


def answer_join(turn: Turn, group: ClassicGroup, member: Member, result: JoinResult) -> None:
    """Nothing happens if the member is not parked in JoinGroup."""
    token = group.unpark_join(member)
    if token is not None:
        turn.reply(token, result)


def answer_sync(turn: Turn, member: Member, result: SyncResult) -> None:
    """Nothing happens if the member is not parked in SyncGroup."""
    token, member.sync_token = member.sync_token, None
    if token is not None:
        turn.reply(token, result)


def drop(turn: Turn, group: ClassicGroup, member: Member, error: ErrorCode = ErrorCode.UNKNOWN_MEMBER_ID) -> None:
    """Take a member out, answering whatever it is parked in so that a client that is still there can begin
    anew."""
    answer_join(turn, group, member, JoinResult(error=error))
    answer_sync(turn, member, SyncResult(error=error))
    turn.cancel(session_timer(group.group_id, member.member_id))
    group.remove(member.member_id)
