"""LeaveGroup, v0–5. v3: several members, static ones by instance id (KIP-345). v5: reasons (KIP-800)."""

from __future__ import annotations

import asyncio

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import LeaveGroup, LeavingMember
from mainstem.core.group.results import LeaveResult
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberResponse

FIRST_VERSION_WITH_MEMBERS = 3


def handle(
    context: RequestContext, services: Services, request: LeaveGroupRequest
) -> LeaveGroupResponse | asyncio.Future[LeaveGroupResponse]:
    if context.api_version >= FIRST_VERSION_WITH_MEMBERS:
        members = tuple(LeavingMember(m.member_id, m.group_instance_id, m.reason) for m in request.members)
        return services.groups.submit(LeaveGroup(group_id=request.group_id, members=members), _response)
    member = LeavingMember(request.member_id, None)
    return services.groups.submit(LeaveGroup(group_id=request.group_id, members=(member,)), _response_of_one)


def _response(result: LeaveResult) -> LeaveGroupResponse:
    return LeaveGroupResponse(
        error_code=result.error,
        members=[
            MemberResponse(member_id=m.member_id, group_instance_id=m.group_instance_id, error_code=m.error)
            for m in result.members
        ],
    )


def _response_of_one(result: LeaveResult) -> LeaveGroupResponse:
    """Older versions have one error for the one member."""
    error = result.error
    if error is ErrorCode.NONE:
        (member,) = result.members
        error = member.error
    return LeaveGroupResponse(error_code=error)
