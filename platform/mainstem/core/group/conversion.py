"""A live group goes from one protocol to the other without stopping (KIP-848, `group.consumer.migration.policy`).

    classic ──a member of the consumer protocol joins──> consumer, in which both kinds of members are
    consumer ──the last member of the consumer protocol goes──> classic

Either is one batch: tombstones of what was, records of what is. Source: Kafka's `GroupMetadataManager.convertTo*Group`,
`ConsumerGroup.fromClassicGroup` and `ClassicGroup.fromConsumerGroup`, 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mainstem.core.group.classic_member import Member
from mainstem.core.group.classic_rebalance import answer_join, answer_sync, prepare
from mainstem.core.group.classic_rebalance import renew_session as renew_classic_session
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.cluster_view import ClusterView
from mainstem.core.group.consumer_liveness import renew_session
from mainstem.core.group.consumer_member import NO_PARTITIONS, ConsumerMember, Partitions, stored_partitions
from mainstem.core.group.consumer_metadata import hash_of_topics
from mainstem.core.group.consumer_protocol import (
    ConsumerProtocolError,
    Subscription,
    read_assignment,
    read_subscription,
    read_version,
    write_assignment,
)
from mainstem.core.group.consumer_records import (
    ClassicMetadata,
    ConsumerGroupRemoved,
    ConsumerGroupStored,
    ConsumerMemberRemoved,
    ConsumerRecord,
    CurrentAssignmentRemoved,
    RegexRemoved,
    SubscriptionMetadataRemoved,
    TargetAssignmentRemoved,
    TargetAssignmentStored,
    TargetEpochRemoved,
    TargetEpochStored,
)
from mainstem.core.group.consumer_state import CONSUMER_PROTOCOL_TYPE, ConsumerGroup
from mainstem.core.group.records import GroupRemoved
from mainstem.core.group.refusal import Refusal
from mainstem.core.group.results import JoinResult, SyncResult
from mainstem.core.group.turn import Turn, join_timer, sync_timer
from mainstem.model.errors import ErrorCode

# --- classic to consumer ------------------------------------------------------------------------------------


def upgrade(turn: Turn, classic: ClassicGroup) -> ConsumerGroup | Refusal:
    """The consumer group that `classic` becomes once the turn's records are written; nothing is answered yet (`let_rejoin`)."""
    problem = _upgrade_problem(turn, classic)
    if problem is not None:
        return Refusal(
            ErrorCode.GROUP_ID_NOT_FOUND,
            f"Cannot upgrade classic group {classic.group_id} to consumer group because {problem}.",
        )
    try:
        members = _from_classic(turn.cluster, classic)
    except ConsumerProtocolError:
        problem = "the embedded consumer protocol is malformed"
    except _CustomAssignorError:
        problem = (
            "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default "
            "assignor before re-attempting the upgrade"
        )
    if problem is not None:
        return Refusal(
            ErrorCode.GROUP_ID_NOT_FOUND,
            f"Cannot upgrade classic group {classic.group_id} to consumer group because {problem}.",
        )
    turn.write(GroupRemoved(group_id=classic.group_id))
    group = ConsumerGroup(classic.group_id)
    for record in _consumer_records(turn, classic, members):
        turn.write(record)
        group.apply(record)
    for member in members:
        assert member.classic is not None, "all of them come from the classic group"
        renew_session(turn, group, member.member_id, member.classic.session_timeout_ms)
    turn.note("group.upgraded", group_id=classic.group_id, members=len(members))
    return group


def let_rejoin(turn: Turn, classic: ClassicGroup) -> None:
    """The group becomes a consumer group: whoever waits in a rebalance of the classic one is to begin anew."""
    turn.cancel(join_timer(classic.group_id))
    turn.cancel(sync_timer(classic.group_id))
    error = ErrorCode.REBALANCE_IN_PROGRESS
    for member in classic.members.values():
        answer_join(turn, classic, member, JoinResult(error=error, member_id=member.member_id))
        answer_sync(turn, member, SyncResult(error=error))


def _upgrade_problem(turn: Turn, classic: ClassicGroup) -> str | None:
    if not turn.settings.consumer_migration_policy.allows_upgrade:
        return "online upgrade is disabled"
    if not classic.has_consumer_protocol:
        return "the group does not use the consumer embedded protocol"
    if len(classic.members) > turn.settings.consumer_max_size:
        return "the group size exceeds the consumer group maximum size"
    return None


class _CustomAssignorError(Exception):
    """The assignment carries data of an assignor that the server knows nothing of."""


def _from_classic(cluster: ClusterView, classic: ClassicGroup) -> list[ConsumerMember]:
    """Everybody is stable with what it may be reading from. Raises: ConsumerProtocolError, _CustomAssignorError.

    That is the last assignment and, for cooperative members, what they said they owned when they joined: one that has not seen the
    assignment yet still has it, and an assignment that was taken back by a rebalance in a rebalance says nothing. Kafka counts
    only the assignment, and gives the rest away. Of two that claim a partition the one of the newer generation has it.
    """
    # Before its first generation the group has not chosen a protocol; every member knows the one it would choose.
    name = classic.protocol_name or (classic.select_protocol() if classic.members else "")
    subscriptions = {m.member_id: read_subscription(m.metadata(name)) for m in classic.members.values()}
    shares = {m.member_id: _assignment(cluster, m) for m in classic.members.values()}
    taken = {(topic_id, n) for share in shares.values() for topic_id, indexes in share.items() for n in indexes}
    for member_id, subscription in sorted(subscriptions.items(), key=lambda item: -item[1].generation):
        owned = by_topic_id(cluster, subscription.owned)
        free = {t: frozenset(n for n in indexes if (t, n) not in taken) for t, indexes in owned.items()}
        taken |= {(t, n) for t, indexes in free.items() for n in indexes}
        shares[member_id] = united(shares[member_id], {t: indexes for t, indexes in free.items() if indexes})
    return [
        _as_consumer(classic.generation, member, subscriptions[member.member_id], shares[member.member_id])
        for member in classic.members.values()
    ]


def _assignment(cluster: ClusterView, member: Member) -> Partitions:
    if not member.assignment:
        return NO_PARTITIONS
    assignment = read_assignment(member.assignment)
    if assignment.user_data:
        raise _CustomAssignorError
    return by_topic_id(cluster, assignment.partitions)


def _as_consumer(generation: int, member: Member, subscription: Subscription, assigned: Partitions) -> ConsumerMember:
    return classic_member(
        ConsumerMember(
            member_id=member.member_id,
            member_epoch=generation,
            previous_member_epoch=generation,
            instance_id=member.group_instance_id,
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            client_id=member.client_id,
            client_host=member.client_host,
            assigned=assigned,
            classic=ClassicMetadata(session_timeout_ms=member.session_timeout_ms, protocols=member.protocols),
        ),
        subscription,
    )


def classic_member(member: ConsumerMember, subscription: Subscription) -> ConsumerMember:
    """`member` with what it subscribed to through the classic protocol."""
    return msgspec.structs.replace(
        member, topics=frozenset(subscription.topics), rack_id=subscription.rack_id or member.rack_id
    )


def _consumer_records(turn: Turn, classic: ClassicGroup, members: Sequence[ConsumerMember]) -> Iterable[ConsumerRecord]:
    group_id, epoch = classic.group_id, classic.generation
    names = {name for member in members for name in member.topics}
    yield from (member.subscription_record(group_id) for member in members)
    yield ConsumerGroupStored(group_id=group_id, epoch=epoch, metadata_hash=hash_of_topics(turn.cluster, names))
    for member in members:
        partitions = stored_partitions(member.assigned)
        yield TargetAssignmentStored(group_id=group_id, member_id=member.member_id, partitions=partitions)
    yield TargetEpochStored(group_id=group_id, epoch=epoch)
    yield from (member.assignment_record(group_id) for member in members)


def by_topic_id(cluster: ClusterView, partitions: Mapping[str, frozenset[int]]) -> Partitions:
    """Topics that do not exist are left out."""
    found = {cluster.topic(name): indexes for name, indexes in partitions.items()}
    return {topic.topic_id: indexes for topic, indexes in found.items() if topic is not None and indexes}


def by_topic_name(cluster: ClusterView, partitions: Partitions) -> dict[str, frozenset[int]]:
    """Topics that do not exist are left out."""
    found = {cluster.topic_name(topic_id): indexes for topic_id, indexes in partitions.items()}
    return {name: indexes for name, indexes in found.items() if name is not None}


# --- consumer to classic ------------------------------------------------------------------------------------


def may_downgrade_without(turn: Turn, group: ConsumerGroup, leaving: Sequence[ConsumerMember]) -> bool:
    """Whether only classic members stay, and the operator lets them have a classic group."""
    staying = len(group.members) - len(leaving)
    classic = group.classic_members - sum(member.speaks_classic for member in leaving)
    return staying > 0 and classic == staying and _may_be_classic(turn, staying)


def may_downgrade_by_replacing(turn: Turn, group: ConsumerGroup, replaced: ConsumerMember) -> bool:
    """Whether a classic member takes the place of the last one of the consumer protocol."""
    size = len(group.members)
    return not replaced.speaks_classic and group.classic_members == size - 1 and _may_be_classic(turn, size)


def _may_be_classic(turn: Turn, size: int) -> bool:
    settings = turn.settings
    return settings.consumer_migration_policy.allows_downgrade and size <= settings.group_max_size


def downgrade(turn: Turn, group: ConsumerGroup, leaving: Sequence[ConsumerMember]) -> None:
    """`leaving` go, and the classic members that stay rebalance among themselves."""
    gone = {member.member_id for member in leaving}
    staying = [member for member in group.members.values() if member.member_id not in gone]
    # Kafka writes the target here. If the group were upgraded again before this rebalance is over, a partition would then
    # be given to its next owner while the one before still has it; so this writes who has what.
    held = {member.member_id: _held(member) for member in staying}
    write_consumer_removal(turn, group, list(group.members))
    classic = _become_classic(turn, group, staying, held)
    prepare(turn, classic, f"Downgrade group {group.group_id} from consumer to classic.")


def _held(member: ConsumerMember) -> Partitions:
    """Everything a member may be reading from: what it keeps, and what it has not let go of yet."""
    return united(member.assigned, member.pending_revocation)


def united(some: Partitions, more: Partitions) -> Partitions:
    none: frozenset[int] = frozenset()
    return {t: some.get(t, none) | more.get(t, none) for t in dict.fromkeys((*some, *more))}


def downgrade_by_replacing(
    turn: Turn, group: ConsumerGroup, replaced: ConsumerMember, joining: ConsumerMember
) -> ClassicGroup:
    """`joining`, which is written already, has taken the place of `replaced`: nothing else changes, nobody rebalances."""
    staying = [member for member in group.members.values() if member.member_id != replaced.member_id]
    targets = {member.member_id: group.targets.get(member.member_id, NO_PARTITIONS) for member in staying}
    targets[joining.member_id] = group.targets.get(replaced.member_id, NO_PARTITIONS)
    staying.append(joining)
    write_consumer_removal(turn, group, [member.member_id for member in staying])
    return _become_classic(turn, group, staying, targets)


def _become_classic(
    turn: Turn, group: ConsumerGroup, members: Sequence[ConsumerMember], shares: Mapping[str, Partitions]
) -> ClassicGroup:
    classic = ClassicGroup(group.group_id, turn.now_ms)
    classic.state = GroupState.STABLE
    classic.generation = group.epoch
    classic.protocol_type = CONSUMER_PROTOCOL_TYPE
    for member in members:
        assert member.classic is not None, "only classic members stay"
        classic.insert(
            Member(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout_ms=member.rebalance_timeout_ms,
                session_timeout_ms=member.classic.session_timeout_ms,
                protocols=member.classic.protocols,
            )
        )
    classic.leader_id = members[0].member_id
    classic.protocol_name = classic.select_protocol()
    for kept in classic.members.values():
        partitions = by_topic_name(turn.cluster, shares[kept.member_id])
        kept.assignment = write_assignment(partitions, read_version(kept.metadata(classic.protocol_name)))
        renew_classic_session(turn, classic, kept)
    turn.write(classic.stored({m.member_id: m.assignment for m in classic.members.values()}))
    turn.note("group.downgraded", group_id=group.group_id, members=len(members))
    turn.arrivals.append(classic)
    return classic


def write_consumer_removal(turn: Turn, group: ConsumerGroup, member_ids: Sequence[str]) -> None:
    group_id = group.group_id
    for member_id in member_ids:
        turn.write(CurrentAssignmentRemoved(group_id=group_id, member_id=member_id))
    for member_id in member_ids:
        turn.write(TargetAssignmentRemoved(group_id=group_id, member_id=member_id))
    turn.write(TargetEpochRemoved(group_id=group_id))
    for member_id in member_ids:
        turn.write(ConsumerMemberRemoved(group_id=group_id, member_id=member_id))
    for regex in group.regexes:
        turn.write(RegexRemoved(group_id=group_id, regex=regex))
    turn.write(SubscriptionMetadataRemoved(group_id=group_id))
    turn.write(ConsumerGroupRemoved(group_id=group_id))
