"""SyncGroup, v0–5. v3: static members (KIP-345). v5: protocol type and name must be said (KIP-559)."""

from __future__ import annotations

import asyncio

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import SyncGroup
from mainstem.core.group.results import SyncResult
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

FIRST_VERSION_WITH_PROTOCOL = 5


def handle(
    context: RequestContext, services: Services, request: SyncGroupRequest
) -> SyncGroupResponse | asyncio.Future[SyncGroupResponse]:
    says_protocol = request.protocol_type is not None and request.protocol_name is not None
    if context.api_version >= FIRST_VERSION_WITH_PROTOCOL and not says_protocol:
        return _response(SyncResult(error=ErrorCode.INCONSISTENT_GROUP_PROTOCOL))
    command = SyncGroup(
        group_id=request.group_id,
        generation=request.generation_id,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        protocol_type=request.protocol_type,
        protocol_name=request.protocol_name,
        assignments={a.member_id: a.assignment for a in request.assignments},
    )
    return services.groups.submit(command, _response)


def _response(result: SyncResult) -> SyncGroupResponse:
    return SyncGroupResponse(
        error_code=result.error,
        protocol_type=result.protocol_type,
        protocol_name=result.protocol_name,
        assignment=result.assignment,
    )
