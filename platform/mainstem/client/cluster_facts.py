"""What a cluster says about itself: its id, its endpoints, its features (DescribeCluster, ApiVersions)."""

from __future__ import annotations

import msgspec

from mainstem.client.cluster import Cluster
from mainstem.client.errors import check
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from mainstem.wire.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse

BROKERS = 1
"""Endpoint type of DescribeCluster."""
FENCED_SINCE = 2
CLIENT_SOFTWARE = "mainstem-cli"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    host: str
    port: int
    rack: str | None
    is_fenced: bool


class ClusterFacts(msgspec.Struct, frozen=True, kw_only=True):
    cluster_id: str
    controller_id: int
    endpoints: tuple[Endpoint, ...]


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """Levels of a feature. `finalized` is 0 for one that is off; `epoch` is None where there is none."""

    name: str
    supported_min: int
    supported_max: int
    finalized: int
    epoch: int | None


def describe_cluster(cluster: Cluster, *, with_fenced: bool = False) -> ClusterFacts:
    """Endpoints by id. Raises: UnreachableError, RefusedError."""
    request = DescribeClusterRequest(endpoint_type=BROKERS, include_fenced_brokers=with_fenced)
    answer = cluster.ask(ApiKey.DESCRIBE_CLUSTER, request)
    assert isinstance(answer, DescribeClusterResponse), answer
    check(answer.error_code, answer.error_message)
    return ClusterFacts(
        cluster_id=answer.cluster_id,
        controller_id=answer.controller_id,
        endpoints=tuple(
            Endpoint(id=each.broker_id, host=each.host, port=each.port, rack=each.rack, is_fenced=each.is_fenced)
            for each in sorted(answer.brokers, key=lambda each: each.broker_id)
        ),
    )


def describe_features(cluster: Cluster) -> list[Feature]:
    """By name. Raises: UnreachableError, RefusedError."""
    request = ApiVersionsRequest(client_software_name=CLIENT_SOFTWARE, client_software_version="1")
    answer = cluster.ask(ApiKey.API_VERSIONS, request)
    assert isinstance(answer, ApiVersionsResponse), answer
    check(answer.error_code)
    finalized = {each.name: each.max_version_level for each in answer.finalized_features}
    epoch = answer.finalized_features_epoch
    return [
        Feature(
            name=each.name,
            supported_min=each.min_version,
            supported_max=each.max_version,
            finalized=finalized.get(each.name, 0),
            epoch=epoch if epoch >= 0 else None,
        )
        for each in sorted(answer.supported_features, key=lambda each: each.name)
    ]
