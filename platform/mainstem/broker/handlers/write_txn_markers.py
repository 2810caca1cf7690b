"""WriteTxnMarkers, v1: from transaction coordinators, and from `kafka-transactions.sh --abort`. Each marker is committed when it is
answered."""

from __future__ import annotations

import asyncio
from functools import partial

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.runtime.coordinator_shard import EndMarker
from mainstem.wire.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)


async def handle(
    context: RequestContext, services: Services, request: WriteTxnMarkersRequest
) -> WriteTxnMarkersResponse:
    written = [_write(services, marker) for marker in request.markers]
    return WriteTxnMarkersResponse(
        markers=[
            WritableTxnMarkerResult(
                producer_id=marker.producer_id,
                topics=[
                    WritableTxnMarkerTopicResult(
                        name=topic.name,
                        partitions=[
                            WritableTxnMarkerPartitionResult(
                                partition_index=index, error_code=await outcomes[TopicPartition(topic.name, index)]
                            )
                            for index in topic.partition_indexes
                        ],
                    )
                    for topic in marker.topics
                ],
            )
            for marker, outcomes in zip(request.markers, written, strict=True)
        ]
    )


def _write(services: Services, asked: WritableTxnMarker) -> dict[TopicPartition, asyncio.Future[ErrorCode]]:
    marker = EndMarker(
        asked.producer_id, asked.producer_epoch, asked.coordinator_epoch, is_commit=asked.transaction_result
    )
    outcomes: dict[TopicPartition, asyncio.Future[ErrorCode]] = {}
    for topic in asked.topics:
        for index in topic.partition_indexes:
            partition = TopicPartition(topic.name, index)
            if partition not in outcomes:
                outcomes[partition] = asyncio.get_running_loop().create_future()
                services.markers.write(partition, marker, partial(_settle, outcomes[partition]))
    return outcomes


def _settle(outcome: asyncio.Future[ErrorCode], error: ErrorCode) -> None:
    if not outcome.done():
        outcome.set_result(error)
