"""CreatePartitions, v0–3 (KIP-195)."""

from __future__ import annotations

from collections import Counter

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)


async def handle(
    context: RequestContext, services: Services, request: CreatePartitionsRequest
) -> CreatePartitionsResponse:
    counts = Counter(topic.name for topic in request.topics)
    twice = [_twice(name) for name, count in counts.items() if count > 1]
    once = [topic for topic in request.topics if counts[topic.name] == 1]
    widened = [await _widen(services, topic, request.validate_only) for topic in once]
    return CreatePartitionsResponse(results=[*twice, *widened])


def _twice(name: str) -> CreatePartitionsTopicResult:
    return CreatePartitionsTopicResult(
        name=name, error_code=ErrorCode.INVALID_REQUEST, error_message="the request has this topic more than once"
    )


async def _widen(services: Services, topic: CreatePartitionsTopic, validate_only: bool) -> CreatePartitionsTopicResult:
    assignments = None
    if topic.assignments is not None:
        assignments = [tuple(assignment.broker_ids) for assignment in topic.assignments]
    result = await services.metadata.add_partitions(topic.name, topic.count, assignments, validate_only)
    return CreatePartitionsTopicResult(name=topic.name, error_code=result.error, error_message=result.message)
