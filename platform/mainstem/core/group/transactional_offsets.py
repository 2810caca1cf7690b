"""Offsets committed inside a transaction: kept apart by `offset_store` until the transaction's marker comes.

Sources: KIP-98, KIP-447; Kafka's `OffsetMetadataManager.commitTransactionalOffset` and `ClassicGroup.validateOffsetCommit`, 4.1.
"""

from __future__ import annotations

from mainstem.core.decision import Transactional
from mainstem.core.group.commands import CommitTransactionalOffsets
from mainstem.core.group.consumer_requests import Group
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.offsets import write_offsets
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode


def commit(turn: Turn, group: Group | None, command: CommitTransactionalOffsets) -> None:
    """The session of the member is not renewed: it is the producer that speaks."""
    problem = commit_problem(group, command)
    if problem is not ErrorCode.NONE:
        turn.reply(command.token, command.refused(problem))
        return
    result = write_offsets(turn, command.group_id, command.offsets)
    turn.decision.transactional = Transactional(command.producer_id, command.producer_epoch, command.admission)
    turn.reply(command.token, result)


def commit_problem(group: Group | None, command: CommitTransactionalOffsets) -> ErrorCode:
    """Older clients name neither member nor generation, so those are checked only where one of them is given. The state of the
    group does not matter."""
    has_generation = command.generation >= 0
    if group is None:
        return ErrorCode.ILLEGAL_GENERATION if has_generation else ErrorCode.NONE
    if not has_generation and not group.members:
        return ErrorCode.NONE
    if not has_generation and not command.member_id and command.group_instance_id is None:
        return ErrorCode.NONE
    if isinstance(group, ConsumerGroup):
        member = group.members.get(command.member_id)
        # The producer that asks knows of generations only.
        is_stale = member is not None and command.generation != member.member_epoch
        problem = ErrorCode.UNKNOWN_MEMBER_ID if member is None else ErrorCode.NONE
        return ErrorCode.ILLEGAL_GENERATION if is_stale else problem
    problem = group.member_problem(command.member_id, command.group_instance_id)
    if problem is ErrorCode.NONE and command.generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    return problem
