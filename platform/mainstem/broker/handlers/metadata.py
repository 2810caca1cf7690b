"""Metadata, v0–13. v4: auto-creation may be refused. v10: topic ids (KIP-516), v12: lookup by id."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from mainstem.broker.context import RequestContext
from mainstem.broker.operations import CLUSTER_OPERATIONS, TOPIC_OPERATIONS, UNKNOWN_OPERATIONS
from mainstem.broker.services import Services
from mainstem.core.metadata.image import TopicImage
from mainstem.model.errors import ErrorCode
from mainstem.model.topic import topic_name_problem
from mainstem.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from mainstem.wire.schema import ZERO_UUID


def handle(
    context: RequestContext, services: Services, request: MetadataRequest
) -> MetadataResponse | Coroutine[Any, Any, MetadataResponse]:
    missing = _to_create(context, services, request)
    if missing:
        return _create_and_answer(context, services, request, missing)
    return _answer(context, services, request, {})


def _to_create(context: RequestContext, services: Services, request: MetadataRequest) -> Sequence[str]:
    if not services.config.auto_create_topics_enable or not request.allow_auto_topic_creation or not request.topics:
        return ()
    topics = services.metadata.image.topics
    return [t.name for t in request.topics if t.name and t.name not in topics and topic_name_problem(t.name) is None]


async def _create_and_answer(
    context: RequestContext, services: Services, request: MetadataRequest, missing: Sequence[str]
) -> MetadataResponse:
    failed: dict[str, ErrorCode] = {}
    for name in dict.fromkeys(missing):
        error = await services.metadata.ensure_topic(name)
        if error is not ErrorCode.NONE:
            failed[name] = error
    return _answer(context, services, request, failed)


def _answer(
    context: RequestContext, services: Services, request: MetadataRequest, failed: dict[str, ErrorCode]
) -> MetadataResponse:
    image = services.metadata.image
    # v0 says "all topics" with an empty list, later versions with null.
    wants_all = request.topics is None or (context.api_version == 0 and not request.topics)
    operations = TOPIC_OPERATIONS if request.include_topic_authorized_operations else UNKNOWN_OPERATIONS
    if wants_all:
        topics = [_topic(topic, operations) for topic in image.topics.values()]
    else:
        assert request.topics is not None, "only a null list means all"
        topics = [_named(services, wanted, operations, failed) for wanted in request.topics]
    brokers = []
    for broker_id, registration in image.brokers.items():
        endpoint = services.endpoint_of(broker_id, context)
        if endpoint is not None:
            brokers.append(
                MetadataResponseBroker(node_id=broker_id, host=endpoint[0], port=endpoint[1], rack=registration.rack)
            )
    return MetadataResponse(
        brokers=brokers,
        cluster_id=services.cluster_id,
        controller_id=image.controller_id,
        topics=topics,
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else UNKNOWN_OPERATIONS
        ),
    )


def _named(
    services: Services, wanted: MetadataRequestTopic, operations: int, failed: dict[str, ErrorCode]
) -> MetadataResponseTopic:
    image = services.metadata.image
    if wanted.name is None or wanted.topic_id != ZERO_UUID:
        topic = image.topics_by_id.get(wanted.topic_id)
        if topic is None:
            return MetadataResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=wanted.topic_id)
        return _topic(topic, operations)
    topic = image.topics.get(wanted.name)
    if topic is not None:
        return _topic(topic, operations)
    error = failed.get(wanted.name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if topic_name_problem(wanted.name) is not None:
        error = ErrorCode.INVALID_TOPIC_EXCEPTION
    return MetadataResponseTopic(error_code=error, name=wanted.name)


def _topic(topic: TopicImage, operations: int) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.is_internal,
        partitions=[
            MetadataResponsePartition(
                error_code=ErrorCode.NONE if p.leader >= 0 else ErrorCode.LEADER_NOT_AVAILABLE,
                partition_index=p.partition,
                leader_id=p.leader,
                leader_epoch=p.leader_epoch,
                replica_nodes=p.replicas,
                isr_nodes=p.isr,
            )
            for p in topic.partitions
        ],
        topic_authorized_operations=operations,
    )
