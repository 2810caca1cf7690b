"""OffsetCommit, v2–9. v2–4: a retention of its own. v6: leader epochs (KIP-320). v7: static members
(KIP-345).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import CommitOffsets, OffsetToCommit
from mainstem.core.group.results import CommitResult
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

FIRST_VERSION_WITH_MEMBER_EPOCHS = 9


def handle(
    context: RequestContext, services: Services, request: OffsetCommitRequest
) -> OffsetCommitResponse | asyncio.Future[OffsetCommitResponse]:
    topics = services.metadata.image.topics
    known: list[OffsetToCommit] = []
    for topic in request.topics:
        image = topics.get(topic.name)
        count = 0 if image is None else len(image.partitions)
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
    if not known:
        return _response(request, {})
    command = CommitOffsets(
        group_id=request.group_id,
        generation=request.generation_id_or_member_epoch,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        offsets=tuple(known),
        retention_time_ms=request.retention_time_ms,
        knows_member_epochs=context.api_version >= FIRST_VERSION_WITH_MEMBER_EPOCHS,
    )
    return services.groups.submit(command, lambda result: _render(request, result))


def _render(request: OffsetCommitRequest, result: CommitResult) -> OffsetCommitResponse:
    return _response(request, {TopicPartition(o.topic, o.partition): o.error for o in result.offsets})


def _response(request: OffsetCommitRequest, errors: Mapping[TopicPartition, ErrorCode]) -> OffsetCommitResponse:
    """In the order of the request; what did not reach the coordinator is unknown here."""
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=p.partition_index,
                        error_code=errors.get(
                            TopicPartition(topic.name, p.partition_index), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                        ),
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
