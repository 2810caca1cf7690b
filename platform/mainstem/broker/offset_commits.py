"""Offsets to commit, from the request and back into its shape: what OffsetCommit and TxnOffsetCommit have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from mainstem.core.group.commands import OffsetToCommit
from mainstem.core.group.results import CommitResult
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.messages.offset_commit import OffsetCommitRequestTopic
from mainstem.wire.messages.txn_offset_commit import TxnOffsetCommitRequestTopic

RequestTopics = Sequence[OffsetCommitRequestTopic] | Sequence[TxnOffsetCommitRequestTopic]
Topic = TypeVar("Topic")


def known_offsets(image: MetadataImage, topics: RequestTopics) -> tuple[OffsetToCommit, ...]:
    """Those of partitions that exist; no others reach the coordinator."""
    known: list[OffsetToCommit] = []
    for topic in topics:
        found = image.topics.get(topic.name)
        count = 0 if found is None else len(found.partitions)
        known += [
            OffsetToCommit(
                topic=topic.name,
                partition=p.partition_index,
                offset=p.committed_offset,
                leader_epoch=p.committed_leader_epoch,
                metadata=p.committed_metadata or "",
            )
            for p in topic.partitions
            if 0 <= p.partition_index < count
        ]
    return tuple(known)


def errors_of(result: CommitResult) -> dict[TopicPartition, ErrorCode]:
    return {TopicPartition(o.topic, o.partition): o.error for o in result.offsets}


def answered_topics(
    topics: RequestTopics,
    errors: Mapping[TopicPartition, ErrorCode],
    topic_response: Callable[..., Topic],
    partition_response: Callable[..., object],
) -> list[Topic]:
    """In the order of the request; what did not reach the coordinator is unknown here.

    The last two are the API's structs of an answered topic and partition.
    """
    return [
        topic_response(
            name=topic.name,
            partitions=[
                partition_response(
                    partition_index=p.partition_index,
                    error_code=errors.get(
                        TopicPartition(topic.name, p.partition_index), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                    ),
                )
                for p in topic.partitions
            ],
        )
        for topic in topics
    ]
