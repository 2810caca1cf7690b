"""ListOffsets: where partitions begin and end, and where a time is, asked of each partition's leader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mainstem.client.cluster import NOBODY, NOT_YET, Cluster, by_topic
from mainstem.client.errors import RefusedError, error_of, refusal
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -1, -2, -3, -4, -5
"""Timestamps that ListOffsets reads as questions of their own (KIP-79, KIP-734, KIP-405, KIP-1005)."""
_SINCE = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9}
NEWEST_VERSION = 10
READ_UNCOMMITTED = 0


class FoundOffset(msgspec.Struct, frozen=True, kw_only=True):
    """`offset` is -1 where there is none; `error` is set where the leader refused, or there is no leader."""

    offset: int
    timestamp_ms: int
    error: ErrorCode = ErrorCode.NONE


def list_offsets(
    cluster: Cluster, partitions: Sequence[TopicPartition], timestamp_ms: int
) -> dict[TopicPartition, FoundOffset]:
    """Raises: UnreachableError, RefusedError."""
    if not partitions:
        return {}
    leaders = cluster.leaders(partitions)
    absent, leaderless = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.LEADER_NOT_AVAILABLE
    found = {
        each: FoundOffset(offset=-1, timestamp_ms=-1, error=leaderless if each in leaders else absent)
        for each in partitions
        if leaders.get(each, NOBODY) == NOBODY
    }
    for leader in sorted(set(leaders.values()) - {NOBODY}):
        led = [each for each in partitions if leaders.get(each) == leader]
        found |= _of_leader(cluster, leader, led, timestamp_ms)
    return found


def _of_leader(
    cluster: Cluster, leader: int, partitions: Sequence[TopicPartition], timestamp_ms: int
) -> dict[TopicPartition, FoundOffset]:
    broker = cluster.broker(leader)
    since = _SINCE.get(timestamp_ms, 0)
    if broker.served().get(ApiKey.LIST_OFFSETS, (0, 0))[1] < since:
        raise RefusedError(ErrorCode.UNSUPPORTED_VERSION, f"the broker is too old for the time {timestamp_ms}")
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=READ_UNCOMMITTED,
        topics=[
            ListOffsetsTopic(
                name=topic,
                partitions=[ListOffsetsPartition(partition_index=each, timestamp=timestamp_ms) for each in numbers],
            )
            for topic, numbers in by_topic(partitions).items()
        ],
        timeout_ms=cluster.api_timeout_ms,
    )
    answer = broker.ask(ApiKey.LIST_OFFSETS, request, NEWEST_VERSION)
    assert isinstance(answer, ListOffsetsResponse), answer
    return {
        TopicPartition(topic.name, each.partition_index): FoundOffset(
            offset=each.offset, timestamp_ms=each.timestamp, error=error_of(each.error_code)
        )
        for topic in answer.topics
        for each in topic.partitions
    }


def known_offsets(
    cluster: Cluster, partitions: Sequence[TopicPartition], timestamp_ms: int
) -> dict[TopicPartition, int]:
    """Offsets of all of these, waiting for leaders; -1 where there is none for a time.

    Raises: RefusedError for a partition that no broker has, UnreachableError.
    """

    def ask() -> Mapping[TopicPartition, FoundOffset]:
        found = list_offsets(cluster, partitions, timestamp_ms)
        for each in found.values():
            if each.error is not ErrorCode.NONE:
                raise refusal(each.error)
        return found

    return {partition: each.offset for partition, each in cluster.repeated(ask, NOT_YET).items()}
