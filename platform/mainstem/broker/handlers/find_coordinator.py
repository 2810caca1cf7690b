"""FindCoordinator, v0–6. v1: key types. v4: several keys (KIP-699). Not done: share groups (type 2)."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

GROUP, TRANSACTION = 0, 1
FIRST_VERSION_WITH_KEYS = 4
NOWHERE = -1


async def handle(
    context: RequestContext, services: Services, request: FindCoordinatorRequest
) -> FindCoordinatorResponse:
    if context.api_version >= FIRST_VERSION_WITH_KEYS:
        keys = request.coordinator_keys
        found = [await _find(context, services, request.key_type, key) for key in keys]
        return FindCoordinatorResponse(coordinators=found)
    one = await _find(context, services, request.key_type, request.key)
    return FindCoordinatorResponse(
        error_code=one.error_code,
        error_message=one.error_message or "NONE",
        node_id=one.node_id,
        host=one.host,
        port=one.port,
    )


async def _find(context: RequestContext, services: Services, key_type: int, key: str) -> Coordinator:
    if key_type == GROUP:
        location = await services.groups.coordinator_of(key)
    elif key_type == TRANSACTION:
        location = await services.transactions.coordinator_of(key)
    else:
        return _refused(key, ErrorCode.INVALID_REQUEST, f"key type {key_type} has no coordinator here")
    endpoint = services.endpoint_of(location.broker_id, context)
    if location.error is not ErrorCode.NONE or endpoint is None:
        return _refused(key, ErrorCode.COORDINATOR_NOT_AVAILABLE, "the coordinator is not available")
    host, port = endpoint
    return Coordinator(key=key, node_id=location.broker_id, host=host, port=port, error_message="")


def _refused(key: str, error: ErrorCode, message: str) -> Coordinator:
    return Coordinator(key=key, node_id=NOWHERE, port=NOWHERE, error_code=error, error_message=message)
