"""JoinGroup, v0–9. v1: rebalance timeout. v4: an id before membership (KIP-394). v5: static members
(KIP-345). v9: a static leader may skip the assignment (KIP-814).
"""

from __future__ import annotations

import asyncio

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import JoinGroup, MemberProtocol
from mainstem.core.group.results import JoinResult
from mainstem.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember

FIRST_VERSION_WITH_REBALANCE_TIMEOUT = 1
FIRST_VERSION_THAT_REQUIRES_MEMBER_ID = 4
FIRST_VERSION_WITH_NULL_PROTOCOL = 7
FIRST_VERSION_THAT_SKIPS_ASSIGNMENT = 9


def handle(
    context: RequestContext, services: Services, request: JoinGroupRequest
) -> JoinGroupResponse | asyncio.Future[JoinGroupResponse]:
    version = context.api_version
    client_id = context.client_id or ""
    protocols: dict[str, MemberProtocol] = {}
    for protocol in request.protocols:
        protocols.setdefault(protocol.name, MemberProtocol(protocol.name, protocol.metadata))
    has_timeout = version >= FIRST_VERSION_WITH_REBALANCE_TIMEOUT
    command = JoinGroup(
        group_id=request.group_id,
        member_id=request.member_id,
        new_member_id=services.groups.new_member_id(client_id, request.group_instance_id),
        group_instance_id=request.group_instance_id,
        client_id=client_id,
        client_host=context.client_host_in_java,
        session_timeout_ms=request.session_timeout_ms,
        rebalance_timeout_ms=request.rebalance_timeout_ms if has_timeout else request.session_timeout_ms,
        protocol_type=request.protocol_type,
        protocols=tuple(protocols.values()),
        requires_member_id=version >= FIRST_VERSION_THAT_REQUIRES_MEMBER_ID,
        skips_assignment=version >= FIRST_VERSION_THAT_SKIPS_ASSIGNMENT,
        reason=request.reason or "",
    )
    return services.groups.submit(command, lambda result: _response(version, result))


def _response(version: int, result: JoinResult) -> JoinGroupResponse:
    protocol_name = result.protocol_name
    if version < FIRST_VERSION_WITH_NULL_PROTOCOL:
        protocol_name = protocol_name or ""
    return JoinGroupResponse(
        error_code=result.error,
        generation_id=result.generation,
        protocol_type=result.protocol_type,
        protocol_name=protocol_name,
        leader=result.leader,
        skip_assignment=result.skip_assignment,
        member_id=result.member_id,
        members=[
            JoinGroupResponseMember(member_id=m.member_id, group_instance_id=m.group_instance_id, metadata=m.metadata)
            for m in result.members
        ],
    )
