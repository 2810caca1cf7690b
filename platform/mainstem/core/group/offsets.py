"""Commit, fetch, expire and remove offsets. Source: Kafka's `OffsetMetadataManager` and `ClassicGroup`,
4.1."""

from __future__ import annotations

from mainstem.core.group.classic_rebalance import renew_session
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import CommitOffsets, FetchOffsets
from mainstem.core.group.offset_store import CommittedOffset, OffsetStore
from mainstem.core.group.records import OffsetRemoved, OffsetStored
from mainstem.core.group.results import CommitResult, FetchedOffset, FetchResult, OffsetError
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

NO_RETENTION_TIME_MS = -1


def commit(turn: Turn, group: ClassicGroup | None, command: CommitOffsets) -> None:
    problem = _commit_problem(group, command)
    if problem is not ErrorCode.NONE:
        turn.reply(command.token, command.refused(problem))
        return
    if group is not None and group.state in (GroupState.STABLE, GroupState.PREPARING_REBALANCE):
        renew_session(turn, group, group.members[command.member_id])
    retention_ms = command.retention_time_ms
    expire_at_ms = None if retention_ms == NO_RETENTION_TIME_MS else turn.now_ms + retention_ms
    results = []
    for asked in command.offsets:
        error = ErrorCode.NONE
        if metadata_is_too_long(asked.metadata, turn.settings):
            error = ErrorCode.OFFSET_METADATA_TOO_LARGE
        else:
            turn.write(
                OffsetStored(
                    group_id=command.group_id,
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
    turn.reply(command.token, CommitResult(offsets=tuple(results)))


def metadata_is_too_long(text: str, settings: GroupSettings) -> bool:
    """Kafka measures the length as Java does, in UTF-16 units."""
    length = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
    return length > settings.offset_metadata_max_bytes


def _commit_problem(group: ClassicGroup | None, command: CommitOffsets) -> ErrorCode:
    has_generation = command.generation >= 0
    if group is None:
        if not has_generation:
            return ErrorCode.NONE
        # Clients before OffsetCommit 9 know only the older code.
        return ErrorCode.GROUP_ID_NOT_FOUND if command.knows_group_id_not_found else ErrorCode.ILLEGAL_GENERATION
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


def fetch(turn: Turn, store: OffsetStore, command: FetchOffsets) -> None:
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


def expire(turn: Turn, group: ClassicGroup, store: OffsetStore) -> bool:
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


def _may_expire(group: ClassicGroup) -> bool:
    """Not while members are on the move, nor under a protocol whose subscriptions nobody here can read."""
    if group.protocol_type is None or group.state is GroupState.EMPTY:
        return True
    return group.state is GroupState.STABLE and group.subscribed_topics() is not None


def _is_expired(turn: Turn, group: ClassicGroup, stored: OffsetStored) -> bool:
    if stored.expire_at_ms is not None:
        return turn.now_ms >= stored.expire_at_ms
    since_ms = stored.committed_at_ms
    if group.protocol_type is not None and group.state is GroupState.EMPTY and group.state_since_ms != -1:
        # As long as the group had members its offsets were in use, however old they are.
        since_ms = group.state_since_ms
    return turn.now_ms - since_ms >= turn.settings.offsets_retention_ms


def remove_all(turn: Turn, group_id: str, store: OffsetStore) -> None:
    for partition in store.partitions_of(group_id):
        turn.write(OffsetRemoved(group_id=group_id, topic=partition.topic, partition=partition.partition))


def remove_topics(turn: Turn, group_id: str, topics: frozenset[str], store: OffsetStore) -> None:
    for partition in store.partitions_of(group_id):
        if partition.topic in topics:
            turn.write(OffsetRemoved(group_id=group_id, topic=partition.topic, partition=partition.partition))
