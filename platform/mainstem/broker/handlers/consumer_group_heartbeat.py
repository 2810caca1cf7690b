"""ConsumerGroupHeartbeat, v0–1 (KIP-848). v1: subscriptions by regular expression, clients choose their member ids (KIP-1082)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import ConsumerHeartbeat
from mainstem.core.group.results import ConsumerHeartbeatResult
from mainstem.model.errors import ErrorCode
from mainstem.model.features import GROUP_VERSION
from mainstem.wire.messages.consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)

FIRST_VERSION_WITH_OWN_MEMBER_ID = 1


def handle(
    context: RequestContext, services: Services, request: ConsumerGroupHeartbeatRequest
) -> ConsumerGroupHeartbeatResponse | asyncio.Future[ConsumerGroupHeartbeatResponse]:
    if services.metadata.image.feature_level(GROUP_VERSION) < 1:
        return ConsumerGroupHeartbeatResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    names = request.subscribed_topic_names
    command = ConsumerHeartbeat(
        group_id=request.group_id,
        member_id=request.member_id,
        new_member_id="" if request.member_id else services.groups.new_consumer_member_id(),
        member_epoch=request.member_epoch,
        instance_id=request.instance_id,
        rack_id=request.rack_id,
        rebalance_timeout_ms=request.rebalance_timeout_ms,
        topics=None if names is None else frozenset(names),
        regex=request.subscribed_topic_regex,
        server_assignor=request.server_assignor,
        owned=_owned(request.topic_partitions),
        client_id=context.client_id or "",
        client_host=context.client_host_in_java,
        needs_own_id=context.api_version >= FIRST_VERSION_WITH_OWN_MEMBER_ID,
    )
    return services.groups.submit(command, _response)


def _owned(listed: Sequence[TopicPartitions] | None) -> dict[bytes, frozenset[int]] | None:
    if listed is None:
        return None
    owned: dict[bytes, frozenset[int]] = {}
    for topic in listed:
        owned[topic.topic_id] = owned.get(topic.topic_id, frozenset()).union(topic.partitions)
    return owned


def _response(result: ConsumerHeartbeatResult) -> ConsumerGroupHeartbeatResponse:
    assignment = None
    if result.assignment is not None:
        assignment = Assignment(
            topic_partitions=[
                TopicPartitions(topic_id=topic_id, partitions=sorted(indexes))
                for topic_id, indexes in result.assignment.items()
            ]
        )
    return ConsumerGroupHeartbeatResponse(
        error_code=result.error,
        error_message=result.error_message,
        member_id=result.member_id,
        member_epoch=result.member_epoch,
        heartbeat_interval_ms=result.heartbeat_interval_ms,
        assignment=assignment,
    )
