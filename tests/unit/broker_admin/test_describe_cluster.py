"""DescribeCluster in every version."""

from __future__ import annotations

import pytest
from admin_kit import (
    node,
)

from mainstem.broker.handlers import (
    describe_cluster,
)
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.describe_cluster import DescribeClusterRequest


@pytest.mark.parametrize("version", range(3))
async def test_the_cluster_is_described(version: int) -> None:
    broker = await node()
    request = DescribeClusterRequest(include_cluster_authorized_operations=True)
    response = await broker.ask(describe_cluster, version, request)
    assert (response.error_code, response.cluster_id, response.controller_id) == (0, "c" * 22, 1)
    (one,) = response.brokers
    assert (one.broker_id, one.host, one.port, one.rack, one.is_fenced) == (1, "h", 9, "r", False)
    assert response.cluster_authorized_operations == 8096
    without = await broker.ask(describe_cluster, version, DescribeClusterRequest())
    assert without.cluster_authorized_operations == -2147483648


@pytest.mark.parametrize(
    ("endpoint_type", "error"),
    [(2, ErrorCode.MISMATCHED_ENDPOINT_TYPE), (0, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)],
)
async def test_controller_endpoints_are_not_served(endpoint_type: int, error: ErrorCode) -> None:
    response = await (await node()).ask(describe_cluster, 1, DescribeClusterRequest(endpoint_type=endpoint_type))
    assert (response.error_code, response.brokers) == (error, [])


async def test_a_controller_that_the_client_cannot_reach_is_not_named() -> None:
    broker = await node()
    broker.services.endpoint_of = lambda broker_id, context: None
    response = await broker.ask(describe_cluster, 1, DescribeClusterRequest())
    assert (response.controller_id, response.brokers) == (-1, [])
