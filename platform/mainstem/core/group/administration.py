"""Describe, list and remove groups. Source: Kafka's `GroupMetadataManager` and `GroupCoordinatorShard`, 4.1;
KIP-1043."""

from __future__ import annotations

from collections.abc import Iterable

from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import DescribeGroup, ListGroups, RemoveGroup
from mainstem.core.group.consumer_requests import Group
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.conversion import write_consumer_removal
from mainstem.core.group.offset_store import OffsetStore
from mainstem.core.group.offsets import remove_all
from mainstem.core.group.records import GroupRemoved
from mainstem.core.group.results import (
    DescribeResult,
    GroupDescription,
    GroupListing,
    ListResult,
    MemberDescription,
    RemoveResult,
)
from mainstem.core.group.turn import Turn, join_timer, sync_timer
from mainstem.model.errors import ErrorCode

CLASSIC_TYPE = "classic"
CONSUMER_TYPE = "consumer"


def describe(turn: Turn, group: Group | None, command: DescribeGroup) -> None:
    turn.reply(command.token, DescribeResult(group=_described(group, command)))


def _described(group: Group | None, command: DescribeGroup) -> GroupDescription:
    if not isinstance(group, ClassicGroup):
        description = GroupDescription(group_id=command.group_id, state=GroupState.DEAD)
        if command.knows_group_id_not_found:
            what = "not found" if group is None else "is not a classic group"
            return GroupDescription(
                error=ErrorCode.GROUP_ID_NOT_FOUND,
                error_message=f"Group {command.group_id} {what}.",
                group_id=command.group_id,
                state=GroupState.DEAD,
            )
        return description
    is_stable = group.state is GroupState.STABLE
    return GroupDescription(
        group_id=group.group_id,
        state=group.state,
        protocol_type=group.protocol_type or "",
        # Before the group is stable the protocol is that of a generation that is over.
        protocol=(group.protocol_name or "") if is_stable else "",
        members=tuple(
            MemberDescription(
                member_id=m.member_id,
                group_instance_id=m.group_instance_id,
                client_id=m.client_id,
                client_host=m.client_host,
                metadata=m.metadata(group.protocol_name) if is_stable else b"",
                assignment=m.assignment,
            )
            for m in group.members.values()
        ),
    )


def list_groups(turn: Turn, groups: Iterable[Group], command: ListGroups) -> None:
    listed = []
    for group in groups:
        kind = CONSUMER_TYPE if isinstance(group, ConsumerGroup) else CLASSIC_TYPE
        if command.types and kind not in command.types:
            continue
        state = group.state
        if not command.states or state.lower() in command.states:
            listed.append(
                GroupListing(group_id=group.group_id, protocol_type=group.protocol_type or "", state=state, type=kind)
            )
    turn.reply(command.token, ListResult(groups=tuple(listed)))


def remove(turn: Turn, group: Group | None, store: OffsetStore, command: RemoveGroup) -> None:
    """Offsets first, the group last: whatever a crash leaves behind is still a group that can be removed
    again."""
    error = ErrorCode.NONE
    if group is None:
        error = ErrorCode.GROUP_ID_NOT_FOUND
    elif not _is_empty(group):
        error = ErrorCode.NON_EMPTY_GROUP
    else:
        remove_all(turn, group.group_id, store)
        _write_removal(turn, group)
    turn.decision.atomic = False
    turn.reply(command.token, RemoveResult(error=error))


def write_removal_if_empty(turn: Turn, group: Group) -> None:
    """Members, and ids that were given and may come back (KIP-394), keep a group alive."""
    if _is_empty(group) and (isinstance(group, ConsumerGroup) or not group.pending_joins):
        _write_removal(turn, group)


def _is_empty(group: Group) -> bool:
    return group.is_empty if isinstance(group, ConsumerGroup) else group.state is GroupState.EMPTY


def _write_removal(turn: Turn, group: Group) -> None:
    if isinstance(group, ConsumerGroup):
        write_consumer_removal(turn, group, ())
        return
    turn.cancel(join_timer(group.group_id))
    turn.cancel(sync_timer(group.group_id))
    turn.write(GroupRemoved(group_id=group.group_id))
