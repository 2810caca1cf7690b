"""DescribeClientQuotas, v0–1 (KIP-546). There are no quotas: every filter that can be one finds none."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
)

ENTITY_TYPES = ("user", "client-id", "ip")
EXACT, DEFAULT, SPECIFIED = 0, 1, 2


def handle(
    context: RequestContext, services: Services, request: DescribeClientQuotasRequest
) -> DescribeClientQuotasResponse:
    problem = _problem(request.components)
    if problem is None:
        return DescribeClientQuotasResponse(error_message="")
    is_unknown = any(each.entity_type and each.entity_type not in ENTITY_TYPES for each in request.components)
    error = ErrorCode.UNSUPPORTED_VERSION if is_unknown else ErrorCode.INVALID_REQUEST
    return DescribeClientQuotasResponse(error_code=error, error_message=problem, entries=None)


def _problem(components: Sequence[ComponentData]) -> str | None:
    types = [component.entity_type for component in components]
    for component in components:
        if component.entity_type not in ENTITY_TYPES:
            return f"there is no entity type {component.entity_type!r}; there are {', '.join(ENTITY_TYPES)}"
        if component.match_type not in (EXACT, DEFAULT, SPECIFIED):
            return f"there is no match type {component.match_type}"
        if component.match_type == EXACT and component.match is None:
            return f"an exact match of {component.entity_type} needs a name"
        if component.match_type != EXACT and component.match is not None:
            return f"only an exact match of {component.entity_type} has a name"
        if types.count(component.entity_type) > 1:
            return f"the filter has {component.entity_type} more than once"
    if "ip" in types and len(types) > 1:
        return "a filter for ip has no other entity types"
    return None
