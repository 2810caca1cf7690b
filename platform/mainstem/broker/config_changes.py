"""Changes of configurations, resource by resource: what AlterConfigs and IncrementalAlterConfigs have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from mainstem.core.controller.configs import ConfigPlan
from mainstem.model.errors import ErrorCode

KEPT_RESOURCES = {2: "topic", 4: "broker", 16: "client-metrics", 32: "group"}
"""Kinds of resources whose configurations are kept, by Kafka's `ConfigResource.Type`."""


class ConfigResourceRequest(Protocol):
    @property
    def resource_type(self) -> int: ...
    @property
    def resource_name(self) -> str: ...


Resource = TypeVar("Resource", bound=ConfigResourceRequest)
Response = TypeVar("Response")


async def change_each(
    resources: Sequence[Resource],
    change: Callable[[Resource], Awaitable[ConfigPlan]],
    response: Callable[..., Response],
) -> list[Response]:
    """One after another. What the request has twice is not changed: nobody could say which of both is meant.

    `response` is the API's struct of an answered resource.
    """
    counts = Counter((resource.resource_type, resource.resource_name) for resource in resources)
    responses = []
    for resource in resources:
        if counts[resource.resource_type, resource.resource_name] > 1:
            plan = refused("the request has this resource more than once")
        else:
            plan = await change(resource)
        responses.append(
            response(
                error_code=plan.error,
                error_message=plan.message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    return responses


def refused(message: str, error: ErrorCode = ErrorCode.INVALID_REQUEST) -> ConfigPlan:
    return ConfigPlan(error=error, message=message)
