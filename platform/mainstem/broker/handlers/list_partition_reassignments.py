"""ListPartitionReassignments, v0 (KIP-455). The list of reassignments under way: on one node there are none."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)


def handle(
    context: RequestContext, services: Services, request: ListPartitionReassignmentsRequest
) -> ListPartitionReassignmentsResponse:
    return ListPartitionReassignmentsResponse()
