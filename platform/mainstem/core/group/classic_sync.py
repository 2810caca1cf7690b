"""SyncGroup: the leader brings the assignment of its generation, everybody gets a part of it once it is
stored.

Source: Kafka's `GroupMetadataManager.classicGroupSync`, 4.1.
"""

from __future__ import annotations

from mainstem.core.group.classic_rebalance import answer_sync, renew_session
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import SyncGroup
from mainstem.core.group.results import SyncResult
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode


def sync(turn: Turn, group: ClassicGroup, command: SyncGroup) -> None:
    problem = _sync_problem(group, command)
    if problem is not ErrorCode.NONE:
        turn.reply(command.token, SyncResult(error=problem))
        return
    member = group.members[command.member_id]
    group.pending_syncs.discard(member.member_id)
    if group.state is GroupState.STABLE:
        turn.reply(command.token, _synced(group, member.assignment))
        return
    answer_sync(turn, member, SyncResult(error=ErrorCode.REBALANCE_IN_PROGRESS))
    member.sync_token = command.token
    if group.is_leader(member.member_id):
        _take_assignment(turn, group, command.assignments)


def _sync_problem(group: ClassicGroup, command: SyncGroup) -> ErrorCode:
    if group.state is GroupState.EMPTY:
        return ErrorCode.UNKNOWN_MEMBER_ID
    problem = group.member_problem(command.member_id, command.group_instance_id)
    if problem is not ErrorCode.NONE:
        return problem
    if command.generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    if _differs(command.protocol_type, group.protocol_type) or _differs(command.protocol_name, group.protocol_name):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if group.state is GroupState.PREPARING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def _differs(said: str | None, known: str | None) -> bool:
    return said is not None and known is not None and said != known


def _synced(group: ClassicGroup, assignment: bytes) -> SyncResult:
    return SyncResult(protocol_type=group.protocol_type, protocol_name=group.protocol_name, assignment=assignment)


def _take_assignment(turn: Turn, group: ClassicGroup, assignments: dict[str, bytes]) -> None:
    """Members the leader forgot get nothing; ids that are no members are ignored. `settle` makes the group
    Stable."""
    forgotten = [m for m in group.members if m not in assignments]
    if forgotten:
        turn.note("group.empty_assignments", group_id=group.group_id, member_ids=forgotten)
    turn.write(group.stored(assignments))
    for member in group.members.values():
        if member.sync_token is not None:
            answer_sync(turn, member, _synced(group, assignments.get(member.member_id, b"")))
            # While parked its session could not end, so no end is scheduled any more.
            renew_session(turn, group, member)
