"""ListConfigResources, v0–1 (KIP-1142). v0: client metrics only, as ListClientMetricsResources was called (KIP-1000)."""

from __future__ import annotations

from collections.abc import Iterable

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = ALL_TYPES = (2, 4, 8, 16, 32)
TYPES_FROM = 1


def handle(
    context: RequestContext, services: Services, request: ListConfigResourcesRequest
) -> ListConfigResourcesResponse:
    wanted: Iterable[int] = (CLIENT_METRICS,)
    if context.api_version >= TYPES_FROM:
        wanted = dict.fromkeys(request.resource_types) if request.resource_types else ALL_TYPES
    if any(kind not in ALL_TYPES for kind in wanted):
        return ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    image = services.metadata.image
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(resource_name=name, resource_type=kind) for kind in wanted for name in _names(image, kind)
        ]
    )


def _names(image: MetadataImage, kind: int) -> list[str]:
    """Topics and brokers all of them; groups and client metrics those that have settings of their own."""
    match kind:
        case 2:  # TOPIC
            return sorted(image.topics)
        case 4 | 8:  # BROKER, BROKER_LOGGER
            return [str(broker_id) for broker_id in sorted(image.brokers)]
        case _:
            wanted = "group" if kind == GROUP else "client-metrics"
            return sorted(resource.name for resource in image.configs if resource.type == wanted)
