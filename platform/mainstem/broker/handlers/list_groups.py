"""ListGroups, v0–5. v4: by state (KIP-518). v5: by type (KIP-848)."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import ListGroups
from mainstem.wire.messages.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse


async def handle(context: RequestContext, services: Services, request: ListGroupsRequest) -> ListGroupsResponse:
    command = ListGroups(
        states=frozenset(s.strip().lower() for s in request.states_filter),
        types=frozenset(t.strip().lower() for t in request.types_filter),
    )
    result = await services.groups.list_groups(command)
    return ListGroupsResponse(
        error_code=result.error,
        groups=[
            ListedGroup(group_id=g.group_id, protocol_type=g.protocol_type, group_state=g.state, group_type=g.type)
            for g in result.groups
        ],
    )
