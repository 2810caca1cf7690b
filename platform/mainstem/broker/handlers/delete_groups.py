"""DeleteGroups, v0–2 (KIP-229)."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import RemoveGroup
from mainstem.core.group.results import RemoveResult
from mainstem.model.errors import ErrorCode
from mainstem.runtime.coordinator_topic import settled
from mainstem.wire.messages.delete_groups import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)


async def handle(context: RequestContext, services: Services, request: DeleteGroupsRequest) -> DeleteGroupsResponse:
    names = list(dict.fromkeys(request.groups_names))
    errors = await settled([services.groups.submit(RemoveGroup(group_id=name), _error) for name in names])
    return DeleteGroupsResponse(
        results=[
            DeletableGroupResult(group_id=name, error_code=error) for name, error in zip(names, errors, strict=True)
        ]
    )


def _error(result: RemoveResult) -> ErrorCode:
    return result.error
