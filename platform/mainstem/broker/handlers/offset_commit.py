"""OffsetCommit, v2–9. v2–4: a retention of its own. v6: leader epochs (KIP-320). v7: static members
(KIP-345).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mainstem.broker.context import RequestContext
from mainstem.broker.offset_commits import answered_topics, errors_of, known_offsets
from mainstem.broker.services import Services
from mainstem.core.group.commands import CommitOffsets
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
    known = known_offsets(services.metadata.image, request.topics)
    if not known:
        return _response(request, {})
    command = CommitOffsets(
        group_id=request.group_id,
        generation=request.generation_id_or_member_epoch,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        offsets=known,
        retention_time_ms=request.retention_time_ms,
        knows_member_epochs=context.api_version >= FIRST_VERSION_WITH_MEMBER_EPOCHS,
    )
    return services.groups.submit(command, lambda result: _response(request, errors_of(result)))


def _response(request: OffsetCommitRequest, errors: Mapping[TopicPartition, ErrorCode]) -> OffsetCommitResponse:
    return OffsetCommitResponse(
        topics=answered_topics(request.topics, errors, OffsetCommitResponseTopic, OffsetCommitResponsePartition)
    )
