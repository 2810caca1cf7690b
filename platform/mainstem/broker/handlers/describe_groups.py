"""DescribeGroups, v0–6. v3: allowed operations (KIP-430). v4: instance ids. v6: GROUP_ID_NOT_FOUND
(KIP-1043).
"""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.operations import GROUP_OPERATIONS, UNKNOWN_OPERATIONS
from mainstem.broker.services import Services
from mainstem.core.group.commands import DescribeGroup
from mainstem.core.group.results import DescribeResult
from mainstem.model.errors import ErrorCode
from mainstem.runtime.coordinator_topic import settled
from mainstem.wire.messages.describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)

FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND = 6


async def handle(context: RequestContext, services: Services, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
    operations = GROUP_OPERATIONS if request.include_authorized_operations else UNKNOWN_OPERATIONS

    def render(result: DescribeResult) -> DescribedGroup:
        return _group(result, operations)

    knows = context.api_version >= FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND
    return DescribeGroupsResponse(
        groups=await settled(
            [
                services.groups.submit(DescribeGroup(group_id=g, knows_group_id_not_found=knows), render)
                for g in request.groups
            ]
        )
    )


def _group(result: DescribeResult, operations: int) -> DescribedGroup:
    group = result.group
    return DescribedGroup(
        error_code=group.error,
        error_message=group.error_message,
        group_id=group.group_id,
        group_state=group.state,
        protocol_type=group.protocol_type,
        protocol_data=group.protocol,
        members=[
            DescribedGroupMember(
                member_id=m.member_id,
                group_instance_id=m.group_instance_id,
                client_id=m.client_id,
                client_host=m.client_host,
                member_metadata=m.metadata,
                member_assignment=m.assignment,
            )
            for m in group.members
        ],
        authorized_operations=operations if group.error is ErrorCode.NONE else UNKNOWN_OPERATIONS,
    )
