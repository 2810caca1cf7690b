"""DeleteTopics, v1–6. v6: by topic id (KIP-516)."""

from __future__ import annotations

from collections import Counter

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.topics import TopicResult
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from mainstem.wire.schema import ZERO_UUID

FIRST_VERSION_WITH_DISABLED = 3


async def handle(context: RequestContext, services: Services, request: DeleteTopicsRequest) -> DeleteTopicsResponse:
    image = services.metadata.image
    wanted = [DeleteTopicState(name=name) for name in request.topic_names] + list(request.topics)
    refused: list[DeletableTopicResult] = []
    ids_by_name: dict[str, bytes] = {}
    counts = Counter(_named(image, topic) for topic in wanted)
    for topic in wanted:
        name = _named(image, topic)
        problem = _problem(topic, name, counts[name])
        if problem is not None:
            refused.append(problem)
        else:
            assert name is not None, "a topic without a name has a problem"
            ids_by_name[name] = topic.topic_id
    deleted = await services.metadata.delete_topics(list(ids_by_name))
    results = [_result(context, result, ids_by_name[result.name]) for result in deleted]
    return DeleteTopicsResponse(responses=[*_once(refused), *results])


def _named(image: MetadataImage, topic: DeleteTopicState) -> str | None:
    if topic.name is not None:
        return topic.name
    known = image.topics_by_id.get(topic.topic_id)
    return known.name if known is not None else None


def _problem(topic: DeleteTopicState, name: str | None, count: int) -> DeletableTopicResult | None:
    if topic.name is None and topic.topic_id == ZERO_UUID:
        error, message = ErrorCode.INVALID_REQUEST, "a topic is given with neither name nor id"
    elif topic.name is not None and topic.topic_id != ZERO_UUID:
        error, message = ErrorCode.INVALID_REQUEST, "a topic is given with both name and id"
    elif name is None:
        error, message = ErrorCode.UNKNOWN_TOPIC_ID, "there is no topic with this id"
    elif count > 1:
        error, message = ErrorCode.INVALID_REQUEST, "the request has this topic more than once"
    else:
        return None
    return DeletableTopicResult(name=topic.name, topic_id=topic.topic_id, error_code=error, error_message=message)


def _once(results: list[DeletableTopicResult]) -> list[DeletableTopicResult]:
    """One answer for a topic that is asked for twice, as Kafka gives."""
    return list({(result.name, result.topic_id): result for result in results}.values())


def _result(context: RequestContext, result: TopicResult, asked_id: bytes) -> DeletableTopicResult:
    error = result.error
    if error is ErrorCode.TOPIC_DELETION_DISABLED and context.api_version < FIRST_VERSION_WITH_DISABLED:
        error = ErrorCode.INVALID_REQUEST
    topic_id = result.topic_id if error is ErrorCode.NONE else asked_id
    return DeletableTopicResult(name=result.name, topic_id=topic_id, error_code=error, error_message=result.message)
