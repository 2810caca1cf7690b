"""IncrementalAlterConfigs, v0–1 (KIP-339). Topics, brokers (KIP-226), groups (KIP-1000), client metrics (KIP-714).

Not done: log levels (KIP-412).
"""

from __future__ import annotations

from collections import Counter

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.configs import ConfigEdit, ConfigOperation, ConfigPlan
from mainstem.core.metadata.image import ConfigResource
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.incremental_alter_configs import (
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

BROKER_LOGGER = 8
_OPERATIONS = frozenset(ConfigOperation)
_WRITTEN = {2: "topic", 4: "broker", 16: "client-metrics", 32: "group"}


async def handle(
    context: RequestContext, services: Services, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    counts = Counter((resource.resource_type, resource.resource_name) for resource in request.resources)
    responses = []
    for resource in request.resources:
        if counts[resource.resource_type, resource.resource_name] > 1:
            plan = _refused(ErrorCode.INVALID_REQUEST, "the request has this resource more than once")
        else:
            plan = await _alter(services, resource, request.validate_only)
        responses.append(
            AlterConfigsResourceResponse(
                error_code=plan.error,
                error_message=plan.message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    return IncrementalAlterConfigsResponse(responses=responses)


async def _alter(services: Services, resource: AlterConfigsResource, validate_only: bool) -> ConfigPlan:
    kind = _WRITTEN.get(resource.resource_type)
    if kind is None:
        return _not_written(services, resource)
    edits = []
    for config in resource.configs:
        if config.config_operation not in _OPERATIONS:
            return _refused(ErrorCode.INVALID_REQUEST, f"there is no operation {config.config_operation}")
        edits.append(ConfigEdit(config.name, ConfigOperation(config.config_operation), config.value))
    return await services.metadata.alter_configs(ConfigResource(kind, resource.resource_name), edits, validate_only)


def _not_written(services: Services, resource: AlterConfigsResource) -> ConfigPlan:
    if resource.resource_type == BROKER_LOGGER:
        if resource.resource_name != str(services.broker_id):
            message = f"this is broker {services.broker_id}, and {resource.resource_name!r} is asked for"
            return _refused(ErrorCode.INVALID_REQUEST, message)
        if resource.configs:
            return _refused(ErrorCode.INVALID_CONFIG, f"there is no logger {resource.configs[0].name!r}")
        return ConfigPlan()
    return _refused(ErrorCode.INVALID_REQUEST, f"there is no resource type {resource.resource_type}")


def _refused(error: ErrorCode, message: str) -> ConfigPlan:
    return ConfigPlan(error=error, message=message)
