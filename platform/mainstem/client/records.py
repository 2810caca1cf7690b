"""DeleteRecords: move the start of partitions up, asked of each partition's leader."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mainstem.client.cluster import NOBODY, Cluster, by_topic
from mainstem.client.errors import RefusedError, refusal
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)

HIGH_WATERMARK = -1
"""An offset that means: everything."""


class DeletedRecords(msgspec.Struct, frozen=True, kw_only=True):
    """`low_watermark` is where the partition begins now; `error` is set instead where the leader refused."""

    low_watermark: int
    error: RefusedError | None = None


def delete_records(cluster: Cluster, before: Mapping[TopicPartition, int]) -> dict[TopicPartition, DeletedRecords]:
    """Deletes what lies before an offset. Raises: UnreachableError, RefusedError if no leader can be found."""
    leaders = cluster.leaders(before)
    outcome = {
        each: _failed(ErrorCode.LEADER_NOT_AVAILABLE if each in leaders else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        for each in before
        if leaders.get(each, NOBODY) == NOBODY
    }
    for leader in sorted(set(leaders.values()) - {NOBODY}):
        outcome |= _of_leader(cluster, leader, {each: at for each, at in before.items() if leaders.get(each) == leader})
    return {each: outcome[each] for each in before}


def _of_leader(
    cluster: Cluster, leader: int, before: Mapping[TopicPartition, int]
) -> dict[TopicPartition, DeletedRecords]:
    request = DeleteRecordsRequest(
        topics=[
            DeleteRecordsTopic(
                name=topic,
                partitions=[
                    DeleteRecordsPartition(partition_index=number, offset=before[TopicPartition(topic, number)])
                    for number in numbers
                ],
            )
            for topic, numbers in by_topic(before).items()
        ],
        timeout_ms=cluster.api_timeout_ms,
    )
    answer = cluster.broker(leader).ask(ApiKey.DELETE_RECORDS, request)
    assert isinstance(answer, DeleteRecordsResponse), answer
    return {
        TopicPartition(topic.name, each.partition_index): (
            DeletedRecords(low_watermark=each.low_watermark)
            if each.error_code == ErrorCode.NONE
            else _failed(each.error_code)
        )
        for topic in answer.topics
        for each in topic.partitions
    }


def _failed(code: int) -> DeletedRecords:
    return DeletedRecords(low_watermark=-1, error=refusal(code))
