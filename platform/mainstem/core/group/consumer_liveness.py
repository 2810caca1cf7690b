"""Timers of consumer groups' members. They are set by heartbeats, and whoever they find late is fenced (`consumer_fencing`).

Source: Kafka's `GroupMetadataManager.scheduleConsumerGroup*`, 4.1.
"""

from __future__ import annotations

from collections.abc import Hashable

from mainstem.core.group.commands import RejoinExpired, ResyncExpired, RevocationExpired, SessionExpired
from mainstem.core.group.consumer_member import ConsumerMember, MemberState
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.turn import Turn, session_timer


def renew_session(turn: Turn, group: ConsumerGroup, member_id: str, timeout_ms: int) -> None:
    group_id = group.group_id
    command = SessionExpired(group_id=group_id, member_id=member_id)
    turn.wake(session_timer(group_id, member_id), timeout_ms, command, times_silence=True)


def time_revocation(turn: Turn, group: ConsumerGroup, member: ConsumerMember) -> None:
    """A member that must let go of partitions has its rebalance timeout for it. Classic members are timed by their rejoins."""
    if member.speaks_classic:
        return
    key = revocation_timer(group.group_id, member.member_id)
    if member.state is MemberState.UNREVOKED_PARTITIONS:
        command = RevocationExpired(
            group_id=group.group_id, member_id=member.member_id, member_epoch=member.member_epoch
        )
        turn.wake(key, member.rebalance_timeout_ms, command)
    else:
        turn.cancel(key)


def time_rejoin(turn: Turn, group: ConsumerGroup, member: ConsumerMember) -> None:
    """Told to rejoin once more, a classic member gets no more time for it."""
    if member.member_id in group.awaited_joins:
        return
    group.awaited_joins.add(member.member_id)
    command = RejoinExpired(group_id=group.group_id, member_id=member.member_id)
    turn.wake(rejoin_timer(group.group_id, member.member_id), member.rebalance_timeout_ms, command)


def time_resync(turn: Turn, group: ConsumerGroup, member: ConsumerMember) -> None:
    group.awaited_joins.discard(member.member_id)
    turn.cancel(rejoin_timer(group.group_id, member.member_id))
    command = ResyncExpired(group_id=group.group_id, member_id=member.member_id)
    turn.wake(resync_timer(group.group_id, member.member_id), member.rebalance_timeout_ms, command)


def cancel_timers(turn: Turn, group_id: str, member_id: str) -> None:
    for timer in (session_timer, revocation_timer, rejoin_timer, resync_timer):
        turn.cancel(timer(group_id, member_id))


def revocation_timer(group_id: str, member_id: str) -> Hashable:
    return ("revocation", group_id, member_id)


def rejoin_timer(group_id: str, member_id: str) -> Hashable:
    return ("rejoin", group_id, member_id)


def resync_timer(group_id: str, member_id: str) -> Hashable:
    return ("resync", group_id, member_id)
