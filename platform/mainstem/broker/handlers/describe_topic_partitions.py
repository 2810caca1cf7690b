"""DescribeTopicPartitions, v0 (KIP-966): topics in the order of their names, so many partitions at a time, and where to go on.

There are no eligible leader replicas outside of the ISR: the lists are empty, as on a Kafka whose replicas are all in sync.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.broker.context import RequestContext
from mainstem.broker.operations import TOPIC_OPERATIONS
from mainstem.broker.services import Services
from mainstem.core.metadata.image import MetadataImage, TopicImage
from mainstem.model.cluster import PartitionRegistration
from mainstem.model.errors import ErrorCode
from mainstem.model.topic import topic_name_problem
from mainstem.wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)


def handle(
    context: RequestContext, services: Services, request: DescribeTopicPartitionsRequest
) -> DescribeTopicPartitionsResponse:
    image = services.metadata.image
    limit = max(1, min(services.config.max_request_partition_size_limit, request.response_partition_limit))
    names = _names_from_cursor(image, request)
    if names is None:
        refused = [
            DescribeTopicPartitionsResponseTopic(error_code=ErrorCode.INVALID_REQUEST, name=topic.name)
            for topic in request.topics
        ]
        return DescribeTopicPartitionsResponse(topics=refused)
    return _page(image, names, request.cursor, limit)


def _names_from_cursor(image: MetadataImage, request: DescribeTopicPartitionsRequest) -> list[str] | None:
    """Names in order from the cursor on; None for a cursor that does not fit the request."""
    wanted = {topic.name for topic in request.topics} if request.topics else image.topics.keys()
    cursor = request.cursor
    if cursor is None:
        return sorted(wanted)
    if cursor.partition_index < 0 or (request.topics and cursor.topic_name not in wanted):
        return None
    return sorted(name for name in wanted if name >= cursor.topic_name)


def _page(
    image: MetadataImage, names: Sequence[str], cursor: Cursor | None, limit: int
) -> DescribeTopicPartitionsResponse:
    topics: list[DescribeTopicPartitionsResponseTopic] = []
    left = limit
    for name in names:
        if not left:
            return DescribeTopicPartitionsResponse(
                topics=topics, next_cursor=Cursor(topic_name=name, partition_index=0)
            )
        topic = image.topics.get(name)
        if topic is None:
            is_name = topic_name_problem(name) is None
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if is_name else ErrorCode.INVALID_TOPIC_EXCEPTION
            topics.append(
                DescribeTopicPartitionsResponseTopic(
                    error_code=error, name=name, topic_authorized_operations=TOPIC_OPERATIONS
                )
            )
            continue
        first = cursor.partition_index if cursor is not None and cursor.topic_name == name else 0
        shown = topic.partitions[first : first + left]
        topics.append(_topic(topic, shown))
        left -= len(shown)
        following = first + len(shown)
        if following < len(topic.partitions):
            cursor = Cursor(topic_name=name, partition_index=following)
            return DescribeTopicPartitionsResponse(topics=topics, next_cursor=cursor)
    return DescribeTopicPartitionsResponse(topics=topics)


def _topic(topic: TopicImage, partitions: Sequence[PartitionRegistration]) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.is_internal,
        partitions=[
            DescribeTopicPartitionsResponsePartition(
                error_code=ErrorCode.NONE if each.leader >= 0 else ErrorCode.LEADER_NOT_AVAILABLE,
                partition_index=each.partition,
                leader_id=each.leader,
                leader_epoch=each.leader_epoch,
                replica_nodes=each.replicas,
                isr_nodes=each.isr,
                eligible_leader_replicas=(),
                last_known_elr=(),
            )
            for each in partitions
        ],
        topic_authorized_operations=TOPIC_OPERATIONS,
    )
