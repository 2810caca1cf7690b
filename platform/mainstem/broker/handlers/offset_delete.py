"""OffsetDelete, v0 (KIP-496)."""

from __future__ import annotations

import asyncio

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import DeleteOffsets
from mainstem.core.group.results import DeleteOffsetsResult
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)


def handle(
    context: RequestContext, services: Services, request: OffsetDeleteRequest
) -> OffsetDeleteResponse | asyncio.Future[OffsetDeleteResponse]:
    topics = services.metadata.image.topics
    known = tuple(
        TopicPartition(topic.name, p.partition_index)
        for topic in request.topics
        if topic.name in topics
        for p in topic.partitions
        if 0 <= p.partition_index < len(topics[topic.name].partitions)
    )
    command = DeleteOffsets(group_id=request.group_id, partitions=known)
    return services.groups.submit(command, lambda result: _response(request, result))


def _response(request: OffsetDeleteRequest, result: DeleteOffsetsResult) -> OffsetDeleteResponse:
    """In the order of the request; partitions that do not exist did not reach the coordinator."""
    if result.error is not ErrorCode.NONE:
        return OffsetDeleteResponse(error_code=result.error)
    errors = {TopicPartition(o.topic, o.partition): o.error for o in result.offsets}
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return OffsetDeleteResponse(
        topics=[
            OffsetDeleteResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetDeleteResponsePartition(
                        partition_index=p.partition_index,
                        error_code=errors.get(TopicPartition(topic.name, p.partition_index), unknown),
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
