"""AlterConfigs, v0–2: what is named is all that a topic, broker, group or subscription has afterwards."""

from __future__ import annotations

from collections import Counter

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.configs import ConfigPlan
from mainstem.core.metadata.image import ConfigResource
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

_WRITTEN = {2: "topic", 4: "broker", 16: "client-metrics", 32: "group"}


async def handle(context: RequestContext, services: Services, request: AlterConfigsRequest) -> AlterConfigsResponse:
    counts = Counter((resource.resource_type, resource.resource_name) for resource in request.resources)
    responses = []
    for resource in request.resources:
        if counts[resource.resource_type, resource.resource_name] > 1:
            plan = _refused("the request has this resource more than once")
        else:
            plan = await _replace(services, resource, request.validate_only)
        responses.append(
            AlterConfigsResourceResponse(
                error_code=plan.error,
                error_message=plan.message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    return AlterConfigsResponse(responses=responses)


async def _replace(services: Services, resource: AlterConfigsResource, validate_only: bool) -> ConfigPlan:
    kind = _WRITTEN.get(resource.resource_type)
    if kind is None:
        return _refused(f"there is no resource type {resource.resource_type} that AlterConfigs can change")
    wanted = [(config.name, config.value) for config in resource.configs]
    return await services.metadata.replace_configs(ConfigResource(kind, resource.resource_name), wanted, validate_only)


def _refused(message: str) -> ConfigPlan:
    return ConfigPlan(error=ErrorCode.INVALID_REQUEST, message=message)
