"""AddOffsetsToTxn, v0–4: the group's partition of `__consumer_offsets` joins the transaction. v2: PRODUCER_FENCED (KIP-588)."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.txn.commands import AddPartitions
from mainstem.core.txn.results import PartitionsResult
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import GROUP_OFFSETS_TOPIC
from mainstem.runtime.coordinator_topic import settled
from mainstem.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse

FIRST_VERSION_WITH_PRODUCER_FENCED = 2


async def handle(
    context: RequestContext, services: Services, request: AddOffsetsToTxnRequest
) -> AddOffsetsToTxnResponse:
    partition = TopicPartition(GROUP_OFFSETS_TOPIC, services.groups.partition_for(request.group_id))
    command = AddPartitions(
        transactional_id=request.transactional_id,
        producer_id=request.producer_id,
        producer_epoch=request.producer_epoch,
        partitions=(partition,),
    )

    def render(result: PartitionsResult) -> AddOffsetsToTxnResponse:
        error = result.error
        if error is ErrorCode.PRODUCER_FENCED and context.api_version < FIRST_VERSION_WITH_PRODUCER_FENCED:
            error = ErrorCode.INVALID_PRODUCER_EPOCH
        return AddOffsetsToTxnResponse(error_code=error)

    (response,) = await settled([services.transactions.submit(command, render)])
    return response
