"""ElectLeaders, v0–2 (KIP-183). v1: unclean elections (KIP-460). Without a list, only partitions that need a leader are told of."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.elections import ElectionResult, ElectionType, elect_leader
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

TYPES_FROM = 1


def handle(context: RequestContext, services: Services, request: ElectLeadersRequest) -> ElectLeadersResponse:
    image = services.metadata.image
    number = request.election_type if context.api_version >= TYPES_FROM else ElectionType.PREFERRED
    if number not in frozenset(ElectionType):
        return _refuse(request, ElectionResult(ErrorCode.INVALID_REQUEST, f"there is no election type {number}"))
    kind = ElectionType(number)
    if request.topic_partitions is None:
        everything = {name: range(len(topic.partitions)) for name, topic in image.topics.items()}
        results = [_elect(image, name, partitions, kind) for name, partitions in everything.items()]
        return ElectLeadersResponse(replica_election_results=[_needed(result) for result in results])
    return ElectLeadersResponse(
        replica_election_results=[
            _elect(image, wanted.topic, wanted.partitions, kind) for wanted in request.topic_partitions
        ]
    )


def _elect(image: MetadataImage, topic: str, partitions: Sequence[int], kind: ElectionType) -> ReplicaElectionResult:
    rows = [_row(index, elect_leader(image, topic, index, kind)) for index in partitions]
    return ReplicaElectionResult(topic=topic, partition_result=rows)


def _needed(result: ReplicaElectionResult) -> ReplicaElectionResult:
    rows = [row for row in result.partition_result if row.error_code != ErrorCode.ELECTION_NOT_NEEDED]
    return ReplicaElectionResult(topic=result.topic, partition_result=rows)


def _row(index: int, result: ElectionResult) -> PartitionResult:
    return PartitionResult(partition_id=index, error_code=result.error, error_message=result.message)


def _refuse(request: ElectLeadersRequest, result: ElectionResult) -> ElectLeadersResponse:
    """As Kafka, an empty list asks for nothing and gets no error."""
    wanted = request.topic_partitions
    return ElectLeadersResponse(
        error_code=ErrorCode.NONE if wanted is not None and not wanted else result.error,
        replica_election_results=[
            ReplicaElectionResult(topic=each.topic, partition_result=[_row(index, result) for index in each.partitions])
            for each in wanted or ()
        ],
    )
