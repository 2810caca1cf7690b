"""Heartbeat, v0–4. v3: static members (KIP-345)."""

from __future__ import annotations

import asyncio

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import Heartbeat
from mainstem.core.group.results import HeartbeatResult
from mainstem.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse


def handle(
    context: RequestContext, services: Services, request: HeartbeatRequest
) -> HeartbeatResponse | asyncio.Future[HeartbeatResponse]:
    command = Heartbeat(
        group_id=request.group_id,
        generation=request.generation_id,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
    )
    return services.groups.submit(command, _response)


def _response(result: HeartbeatResult) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=result.error)
