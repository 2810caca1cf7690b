"""AlterConfigs, v0–2: what is named is all that a topic, broker, group or subscription has afterwards."""

from __future__ import annotations

from mainstem.broker.config_changes import KEPT_RESOURCES, change_each, refused
from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.configs import ConfigPlan
from mainstem.core.metadata.image import ConfigResource
from mainstem.wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)


async def handle(context: RequestContext, services: Services, request: AlterConfigsRequest) -> AlterConfigsResponse:
    async def replace(resource: AlterConfigsResource) -> ConfigPlan:
        return await _replace(services, resource, request.validate_only)

    return AlterConfigsResponse(responses=await change_each(request.resources, replace, AlterConfigsResourceResponse))


async def _replace(services: Services, resource: AlterConfigsResource, validate_only: bool) -> ConfigPlan:
    kind = KEPT_RESOURCES.get(resource.resource_type)
    if kind is None:
        return refused(f"there is no resource type {resource.resource_type} that AlterConfigs can change")
    wanted = [(config.name, config.value) for config in resource.configs]
    return await services.metadata.replace_configs(ConfigResource(kind, resource.resource_name), wanted, validate_only)
