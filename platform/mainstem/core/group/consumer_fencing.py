"""Members of a consumer group leave or are put out; the last member of the new protocol turns the group back to the classic one.

Source: Kafka's `GroupMetadataManager.consumerGroupLeave` and `consumerGroupFenceMembers`, 4.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from mainstem.core.group.commands import (
    ConsumerHeartbeat,
    RejoinExpired,
    ResyncExpired,
    RevocationExpired,
    SessionExpired,
)
from mainstem.core.group.consumer_heartbeat import instance_problem, remove_member, unknown_member
from mainstem.core.group.consumer_liveness import cancel_timers
from mainstem.core.group.consumer_member import LEAVE_STATIC_EPOCH, NO_PARTITIONS, ConsumerMember
from mainstem.core.group.consumer_metadata import hash_of_topics
from mainstem.core.group.consumer_records import ConsumerGroupStored, RegexRemoved
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.conversion import downgrade, may_downgrade_without
from mainstem.core.group.refusal import Refusal
from mainstem.core.group.results import ConsumerHeartbeatResult
from mainstem.core.group.turn import Turn


def leave(turn: Turn, group: ConsumerGroup, command: ConsumerHeartbeat) -> ConsumerHeartbeatResult | Refusal:
    member: ConsumerMember | None
    if command.instance_id is None:
        member = group.members.get(command.member_id)
        problem = unknown_member(group, command.member_id) if member is None else None
    else:
        member = group.static_member(command.instance_id)
        problem = instance_problem(member, command.member_id, command.instance_id)
    if problem is not None:
        return problem
    assert member is not None, "both problems are about members that are not there"
    if command.instance_id is not None and command.member_epoch == LEAVE_STATIC_EPOCH:
        # It will be back within its session, and keeps what it has until then.
        away = msgspec.structs.replace(member, member_epoch=LEAVE_STATIC_EPOCH, pending_revocation=NO_PARTITIONS)
        turn.write(away.assignment_record(group.group_id))
    else:
        fence(turn, group, [member], "it left")
    return ConsumerHeartbeatResult(member_id=member.member_id, member_epoch=command.member_epoch)


def fence(turn: Turn, group: ConsumerGroup, members: Sequence[ConsumerMember], reason: str) -> None:
    """Put members out: what they had is free, and the group has a new epoch."""
    if not members:
        return
    group_id = group.group_id
    turn.note("group.members_fenced", group_id=group_id, member_ids=[m.member_id for m in members], reason=reason)
    for member in members:
        cancel_timers(turn, group_id, member.member_id)
    if may_downgrade_without(turn, group, members):
        downgrade(turn, group, members)
        return
    for member in members:
        remove_member(turn, group, member.member_id)
    gone = Counter(member.regex for member in members if member.regex)
    dropped = [regex for regex, count in gone.items() if group.regex_members[regex] == count]
    for regex in dropped:
        turn.write(RegexRemoved(group_id=group_id, regex=regex))
    names = group.subscribed_names_after(members, None, dropped)
    epoch = group.epoch + 1
    turn.write(ConsumerGroupStored(group_id=group_id, epoch=epoch, metadata_hash=hash_of_topics(turn.cluster, names)))


def member_is_late(
    turn: Turn, group: ConsumerGroup, command: SessionExpired | RevocationExpired | RejoinExpired | ResyncExpired
) -> None:
    """A timer of a member has run out. Members that moved on, or went, are left alone."""
    member = group.members.get(command.member_id)
    if member is None:
        return
    match command:
        case SessionExpired():
            reason = "its session expired"
        case RevocationExpired():
            if member.member_epoch != command.member_epoch:
                return
            reason = f"it did not leave epoch {command.member_epoch} in time"
        case RejoinExpired():
            reason = "it did not rejoin in time"
        case ResyncExpired():
            reason = "it did not ask for its assignment in time"
    fence(turn, group, [member], reason)
