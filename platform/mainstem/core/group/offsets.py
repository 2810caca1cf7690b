"""Commit, fetch, expire and remove offsets. Source: Kafka's `OffsetMetadataManager` and `ClassicGroup`,
4.1."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.core.group.classic_rebalance import renew_session
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import CommitOffsets, DeleteOffsets, FetchOffsets, OffsetToCommit
from mainstem.core.group.consumer_member import ConsumerMember
from mainstem.core.group.consumer_requests import Group
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.offset_store import CommittedOffset, OffsetStore
from mainstem.core.group.records import OffsetRemoved, OffsetStored
from mainstem.core.group.results import CommitResult, DeleteOffsetsResult, FetchedOffset, FetchResult, OffsetError
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

NO_RETENTION_TIME_MS = -1


def commit(turn: Turn, group: Group | None, command: CommitOffsets) -> None:
    problem = _commit_problem(group, command)
    if problem is not ErrorCode.NONE:
        turn.reply(command.token, command.refused(problem))
        return
    if isinstance(group, ClassicGroup) and group.state in (GroupState.STABLE, GroupState.PREPARING_REBALANCE):
        renew_session(turn, group, group.members[command.member_id])
    retention_ms = command.retention_time_ms
    expire_at_ms = None if retention_ms == NO_RETENTION_TIME_MS else turn.now_ms + retention_ms
    turn.reply(command.token, write_offsets(turn, command.group_id, command.offsets, expire_at_ms))


def write_offsets(
    turn: Turn, group_id: str, offsets: Sequence[OffsetToCommit], expire_at_ms: int | None = None
) -> CommitResult:
    """Write what can be stored, and answer for each."""
    results = []
    for asked in offsets:
        error = ErrorCode.NONE
        if _metadata_is_too_long(asked.metadata, turn.settings):
            error = ErrorCode.OFFSET_METADATA_TOO_LARGE
        else:
            turn.write(
                OffsetStored(
                    group_id=group_id,
                    topic=asked.topic,
                    partition=asked.partition,
                    offset=asked.offset,
                    leader_epoch=asked.leader_epoch,
                    metadata=asked.metadata,
                    committed_at_ms=turn.now_ms,
                    expire_at_ms=expire_at_ms,
                )
            )
        results.append(OffsetError(asked.topic, asked.partition, error))
    return CommitResult(offsets=tuple(results))


def _metadata_is_too_long(text: str, settings: GroupSettings) -> bool:
    """Kafka measures the length as Java does, in UTF-16 units."""
    length = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
    return length > settings.offset_metadata_max_bytes


def _commit_problem(group: Group | None, command: CommitOffsets) -> ErrorCode:
    if isinstance(group, ConsumerGroup):
        return _consumer_commit_problem(group, command)
    has_generation = command.generation >= 0
    if group is None:
        if not has_generation:
            return ErrorCode.NONE
        # Clients before OffsetCommit 9 know only the older code.
        return ErrorCode.GROUP_ID_NOT_FOUND if command.knows_member_epochs else ErrorCode.ILLEGAL_GENERATION
    if not has_generation and group.state is GroupState.EMPTY:
        return ErrorCode.NONE
    if not has_generation and not command.member_id and command.group_instance_id is None:
        # Nobody may commit from outside while members do.
        return ErrorCode.UNKNOWN_MEMBER_ID
    problem = group.member_problem(command.member_id, command.group_instance_id)
    if problem is not ErrorCode.NONE:
        return problem
    if command.generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    if group.state is GroupState.COMPLETING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def _consumer_commit_problem(group: ConsumerGroup, command: CommitOffsets) -> ErrorCode:
    if command.generation < 0 and group.is_empty:
        return ErrorCode.NONE
    member = group.members.get(command.member_id)
    if member is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    if not member.speaks_classic and not command.knows_member_epochs:
        return ErrorCode.UNSUPPORTED_VERSION
    return epoch_problem(member, command.generation)


def epoch_problem(member: ConsumerMember, said: int) -> ErrorCode:
    if said == member.member_epoch:
        return ErrorCode.NONE
    return ErrorCode.ILLEGAL_GENERATION if member.speaks_classic else ErrorCode.STALE_MEMBER_EPOCH


def _fetch_problem(group: Group | None, command: FetchOffsets) -> ErrorCode:
    """Only members of a consumer group have to say who they are, and only if they say anything."""
    if not isinstance(group, ConsumerGroup) or (command.member_id is None and command.member_epoch < 0):
        return ErrorCode.NONE
    member = group.members.get(command.member_id or "")
    return ErrorCode.UNKNOWN_MEMBER_ID if member is None else epoch_problem(member, command.member_epoch)


def fetch(turn: Turn, group: Group | None, store: OffsetStore, command: FetchOffsets) -> None:
    problem = _fetch_problem(group, command)
    if problem is not ErrorCode.NONE:
        turn.reply(command.token, command.refused(problem))
        return
    kept = store.of_group(command.group_id)
    wanted = tuple(kept) if command.partitions is None else command.partitions
    results = []
    for partition in wanted:
        if command.require_stable and store.is_unstable(command.group_id, partition):
            result = FetchedOffset(
                topic=partition.topic, partition=partition.partition, error=ErrorCode.UNSTABLE_OFFSET_COMMIT
            )
        else:
            result = _fetched(partition, kept.get(partition))
        results.append(result)
    turn.reply(command.token, FetchResult(offsets=tuple(results)))


def _fetched(partition: TopicPartition, entry: CommittedOffset | None) -> FetchedOffset:
    if entry is None:
        return FetchedOffset(topic=partition.topic, partition=partition.partition)
    stored = entry.stored
    return FetchedOffset(
        topic=stored.topic,
        partition=stored.partition,
        offset=stored.offset,
        leader_epoch=stored.leader_epoch,
        metadata=stored.metadata,
    )


def expire(turn: Turn, group: Group, store: OffsetStore) -> bool:
    """Remove what is past its retention; True if nothing is left, open transactions included (KIP-211)."""
    is_over = True
    if not _may_expire(group):
        return not store.of_group(group.group_id) and not store.has_open_transaction(group.group_id)
    for partition, entry in store.of_group(group.group_id).items():
        stored = entry.stored
        if (
            _is_expired(turn, group, stored)
            and not group.is_subscribed(stored.topic)
            and not store.is_unstable(group.group_id, partition)
        ):
            turn.write(OffsetRemoved(group_id=group.group_id, topic=stored.topic, partition=stored.partition))
        else:
            is_over = False
    return is_over and not store.has_open_transaction(group.group_id)


def _may_expire(group: Group) -> bool:
    """Not while members are on the move, nor under a protocol whose subscriptions nobody here can read."""
    if isinstance(group, ConsumerGroup):
        return True
    if group.protocol_type is None or group.state is GroupState.EMPTY:
        return True
    return group.state is GroupState.STABLE and group.subscribed_topics() is not None


def _is_expired(turn: Turn, group: Group, stored: OffsetStored) -> bool:
    if stored.expire_at_ms is not None:
        return turn.now_ms >= stored.expire_at_ms
    since_ms = stored.committed_at_ms
    if isinstance(group, ClassicGroup) and _was_in_use(group):
        # As long as the group had members its offsets were in use, however old they are.
        since_ms = group.state_since_ms
    return turn.now_ms - since_ms >= turn.settings.offsets_retention_ms


def _was_in_use(group: ClassicGroup) -> bool:
    return group.protocol_type is not None and group.state is GroupState.EMPTY and group.state_since_ms != -1


def delete(turn: Turn, group: Group | None, store: OffsetStore, command: DeleteOffsets) -> None:
    """Not of topics that somebody in the group is subscribed to: he would commit them again."""
    if group is None:
        turn.reply(command.token, command.refused(ErrorCode.GROUP_ID_NOT_FOUND))
        return
    if isinstance(group, ClassicGroup) and group.state is not GroupState.EMPTY and not group.has_consumer_protocol:
        turn.reply(command.token, command.refused(ErrorCode.NON_EMPTY_GROUP))
        return
    is_in_use = isinstance(group, ConsumerGroup) or group.state is not GroupState.EMPTY
    known = set(store.partitions_of(command.group_id))
    results = []
    for partition in command.partitions:
        error = ErrorCode.NONE
        if is_in_use and group.is_subscribed(partition.topic):
            error = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
        elif partition in known:
            turn.write(OffsetRemoved(group_id=command.group_id, topic=partition.topic, partition=partition.partition))
        results.append(OffsetError(partition.topic, partition.partition, error))
    turn.reply(command.token, DeleteOffsetsResult(offsets=tuple(results)))


def remove_all(turn: Turn, group_id: str, store: OffsetStore) -> None:
    for partition in store.partitions_of(group_id):
        turn.write(OffsetRemoved(group_id=group_id, topic=partition.topic, partition=partition.partition))


def remove_topics(turn: Turn, group_id: str, topics: frozenset[str], store: OffsetStore) -> None:
    for partition in store.partitions_of(group_id):
        if partition.topic in topics:
            turn.write(OffsetRemoved(group_id=group_id, topic=partition.topic, partition=partition.partition))
