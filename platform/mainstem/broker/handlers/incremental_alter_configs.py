"""IncrementalAlterConfigs, v0–1 (KIP-339). Topics, brokers (KIP-226), groups (KIP-1000), client metrics (KIP-714).

Levels of broker loggers (KIP-412) change at once and are not kept.
"""

from __future__ import annotations

from mainstem.broker.config_changes import KEPT_RESOURCES, change_each, refused
from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.configs import ConfigEdit, ConfigOperation, ConfigPlan
from mainstem.core.metadata.image import ConfigResource
from mainstem.model.configs.nearest import suggestion
from mainstem.model.errors import ErrorCode
from mainstem.telemetry.loggers import AREAS, LEVELS, ROOT
from mainstem.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

BROKER_LOGGER = 8
_OPERATIONS = frozenset(ConfigOperation)


async def handle(
    context: RequestContext, services: Services, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    async def alter(resource: AlterConfigsResource) -> ConfigPlan:
        return await _alter(services, resource, request.validate_only)

    responses = await change_each(request.resources, alter, AlterConfigsResourceResponse)
    return IncrementalAlterConfigsResponse(responses=responses)


async def _alter(services: Services, resource: AlterConfigsResource, validate_only: bool) -> ConfigPlan:
    kind = KEPT_RESOURCES.get(resource.resource_type)
    if kind is None:
        return _not_written(services, resource, validate_only)
    edits = []
    for config in resource.configs:
        if config.config_operation not in _OPERATIONS:
            return refused(f"there is no operation {config.config_operation}")
        edits.append(ConfigEdit(config.name, ConfigOperation(config.config_operation), config.value))
    return await services.metadata.alter_configs(ConfigResource(kind, resource.resource_name), edits, validate_only)


def _not_written(services: Services, resource: AlterConfigsResource, validate_only: bool) -> ConfigPlan:
    if resource.resource_type != BROKER_LOGGER:
        return refused(f"there is no resource type {resource.resource_type}")
    if resource.resource_name != str(services.broker_id):
        message = f"this is broker {services.broker_id}, and {resource.resource_name!r} is asked for"
        return refused(message)
    for config in resource.configs:
        problem = _check_logger(config)
        if problem is not None:
            return problem
    for config in () if validate_only else resource.configs:
        services.loggers.choose(config.name, config.value if config.config_operation == ConfigOperation.SET else None)
    return ConfigPlan()


def _check_logger(config: AlterableConfig) -> ConfigPlan | None:
    if config.config_operation not in (ConfigOperation.SET, ConfigOperation.DELETE):
        return refused("the level of a logger can be set or deleted")
    if config.name != ROOT and config.name not in AREAS:
        known = (ROOT, *AREAS)
        return refused(f"there is no logger {config.name!r}{suggestion(config.name, known)}", ErrorCode.INVALID_CONFIG)
    if config.config_operation == ConfigOperation.DELETE:
        is_root = config.name == ROOT
        return refused("the root logger must have a level") if is_root else None
    if config.value is None:
        return refused(f"a value is needed for {config.name}")
    if config.value not in LEVELS:
        return refused(
            f"{config.name} cannot be {config.value!r}; levels are {', '.join(LEVELS)}", ErrorCode.INVALID_CONFIG
        )
    return None
