"""AlterPartitionReassignments, v0–1 (KIP-455). v1: whether the number of replicas may change (KIP-860); here it never does."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.reassignments import reassign
from mainstem.core.metadata.image import MetadataImage
from mainstem.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)


def handle(
    context: RequestContext, services: Services, request: AlterPartitionReassignmentsRequest
) -> AlterPartitionReassignmentsResponse:
    image = services.metadata.image
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change,
        responses=[
            ReassignableTopicResponse(
                name=topic.name, partitions=[_row(image, topic.name, wanted) for wanted in topic.partitions]
            )
            for topic in request.topics
        ],
    )


def _row(image: MetadataImage, topic: str, wanted: ReassignablePartition) -> ReassignablePartitionResponse:
    result = reassign(image, topic, wanted.partition_index, wanted.replicas)
    return ReassignablePartitionResponse(
        partition_index=wanted.partition_index, error_code=result.error, error_message=result.message
    )
