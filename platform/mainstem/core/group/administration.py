"""Describe, list and remove groups. Source: Kafka's `GroupMetadataManager` and `GroupCoordinatorShard`, 4.1;
KIP-1043."""

from __future__ import annotations

from collections.abc import Iterable

from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import DescribeGroup, ListGroups, RemoveGroup
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


def describe(turn: Turn, group: ClassicGroup | None, command: DescribeGroup) -> None:
    turn.reply(command.token, DescribeResult(group=_described(group, command)))


def _described(group: ClassicGroup | None, command: DescribeGroup) -> GroupDescription:
    if group is None:
        description = GroupDescription(group_id=command.group_id, state=GroupState.DEAD)
        if command.knows_group_id_not_found:
            return GroupDescription(
                error=ErrorCode.GROUP_ID_NOT_FOUND,
                error_message=f"Group {command.group_id} not found.",
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


def list_groups(turn: Turn, groups: Iterable[ClassicGroup], command: ListGroups) -> None:
    if command.types and CLASSIC_TYPE.lower() not in command.types:
        turn.reply(command.token, ListResult())
        return
    listed = tuple(
        GroupListing(
            group_id=group.group_id,
            protocol_type=group.protocol_type or "",
            state=group.state,
            type=CLASSIC_TYPE,
        )
        for group in groups
        if not command.states or group.state.lower() in command.states
    )
    turn.reply(command.token, ListResult(groups=listed))


def remove(turn: Turn, group: ClassicGroup | None, store: OffsetStore, command: RemoveGroup) -> None:
    """Offsets first, the group last: whatever a crash leaves behind is still a group that can be removed
    again."""
    error = ErrorCode.NONE
    if group is None:
        error = ErrorCode.GROUP_ID_NOT_FOUND
    elif group.state is not GroupState.EMPTY:
        error = ErrorCode.NON_EMPTY_GROUP
    else:
        remove_all(turn, group.group_id, store)
        write_removal(turn, group)
    turn.decision.atomic = False
    turn.reply(command.token, RemoveResult(error=error))


def write_removal(turn: Turn, group: ClassicGroup) -> None:
    turn.cancel(join_timer(group.group_id))
    turn.cancel(sync_timer(group.group_id))
    turn.write(GroupRemoved(group_id=group.group_id))
