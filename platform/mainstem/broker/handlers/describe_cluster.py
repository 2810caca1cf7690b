"""DescribeCluster, v0–2 (KIP-700). v1: endpoint types (KIP-919). v2: fenced brokers (KIP-1073), of which
there are none.
"""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.operations import CLUSTER_OPERATIONS, UNKNOWN_OPERATIONS
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

BROKERS, CONTROLLERS = 1, 2
NO_CONTROLLER = -1


def handle(context: RequestContext, services: Services, request: DescribeClusterRequest) -> DescribeClusterResponse:
    if request.endpoint_type == CONTROLLERS:
        message = "this is a broker's endpoint; the controller has none of its own"
        return DescribeClusterResponse(error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE, error_message=message)
    if request.endpoint_type != BROKERS:
        message = f"there is no endpoint type {request.endpoint_type}"
        return DescribeClusterResponse(error_code=ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, error_message=message)
    image = services.metadata.image
    brokers = []
    for broker_id, registration in image.brokers.items():
        endpoint = services.endpoint_of(broker_id, context)
        if endpoint is not None:
            host, port = endpoint
            brokers.append(DescribeClusterBroker(broker_id=broker_id, host=host, port=port, rack=registration.rack))
    reachable = {broker.broker_id for broker in brokers}
    return DescribeClusterResponse(
        cluster_id=services.cluster_id,
        controller_id=image.controller_id if image.controller_id in reachable else NO_CONTROLLER,
        brokers=brokers,
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else UNKNOWN_OPERATIONS
        ),
    )
