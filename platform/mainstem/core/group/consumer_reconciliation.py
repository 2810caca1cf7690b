"""A member's next step from what it has to what the target gives it.

                 nothing to revoke                           all it waits for is free
    STABLE ───────────────────────────> UNRELEASED_PARTITIONS ──────────────────────> STABLE
      │ must revoke                           ▲
      └──────────> UNREVOKED_PARTITIONS ──────┘  once its heartbeat no longer names the revoked ones

No partition is given before its former owner let it go: the coordinator keeps the epoch of each partition's owner and
hands out only what has none. Source: Kafka's `CurrentAssignmentBuilder`, 4.1; KIP-848.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mainstem.core.group.consumer_member import NO_PARTITIONS, ConsumerMember, MemberState, Partitions, overlaps
from mainstem.core.group.refusal import Refusal
from mainstem.model.errors import ErrorCode

FREE = -1
_NONE: frozenset[int] = frozenset()

PartitionEpoch = Callable[[bytes, int], int]
"""The member epoch of a partition's owner, `FREE` if it has none."""


def reconcile(
    member: ConsumerMember,
    target_epoch: int,
    target: Partitions,
    epoch_of: PartitionEpoch,
    owned: Partitions | None,
) -> ConsumerMember | Refusal:
    """`owned` is what the member said it has, None if it said nothing. Returns `member` itself if it cannot move on."""
    match member.state:
        case MemberState.STABLE:
            if member.member_epoch == target_epoch:
                return member
            return _next(member, member.member_epoch, target_epoch, target, epoch_of, owned)
        case MemberState.UNREVOKED_PARTITIONS:
            if _still_owns(owned, member.pending_revocation):
                return member
            return _next(member, member.member_epoch + 1, target_epoch, target, epoch_of, owned)
        case MemberState.UNRELEASED_PARTITIONS:
            return _next(member, member.member_epoch, target_epoch, target, epoch_of, owned)
        case MemberState.UNKNOWN:
            if owned is None or owned:
                return Refusal(
                    ErrorCode.FENCED_MEMBER_EPOCH,
                    "The consumer group member is in a unknown state. "
                    "The member must abandon all its partitions and rejoin.",
                )
            return _next(member, target_epoch, target_epoch, target, epoch_of, owned)


def _still_owns(owned: Partitions | None, revoked: Partitions) -> bool:
    return owned is None or overlaps(owned, revoked)


def _next(
    member: ConsumerMember,
    member_epoch: int,
    target_epoch: int,
    target: Partitions,
    epoch_of: PartitionEpoch,
    owned: Partitions | None,
) -> ConsumerMember:
    keeps: dict[bytes, frozenset[int]] = {}
    revokes: dict[bytes, frozenset[int]] = {}
    gets: dict[bytes, frozenset[int]] = {}
    must_wait = False
    for topic_id in dict.fromkeys((*target, *member.assigned)):
        wanted = target.get(topic_id, _NONE)
        had = member.assigned.get(topic_id, _NONE)
        kept = had & wanted
        free = frozenset(index for index in wanted - kept if epoch_of(topic_id, index) == FREE)
        must_wait = must_wait or len(kept) + len(free) < len(wanted)
        if kept:
            keeps[topic_id] = kept
        if had - kept:
            revokes[topic_id] = had - kept
        if kept or free:
            gets[topic_id] = kept | free
    if revokes and _still_owns(owned, revokes):
        # It stays in its epoch until it has let go of them.
        return _moved(member, MemberState.UNREVOKED_PARTITIONS, member_epoch, keeps, revokes)
    state = MemberState.UNRELEASED_PARTITIONS if must_wait else MemberState.STABLE
    return _moved(member, state, target_epoch, gets, NO_PARTITIONS)


def _moved(
    member: ConsumerMember, state: MemberState, epoch: int, assigned: Partitions, revoked: Partitions
) -> ConsumerMember:
    return msgspec.structs.replace(
        member,
        state=state,
        member_epoch=epoch,
        previous_member_epoch=member.member_epoch,
        assigned=assigned,
        pending_revocation=revoked,
    )
