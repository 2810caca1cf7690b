"""DeleteRecords, v0–2. Moves log start offsets (KIP-107); offset -1 means the high watermark."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.error_map import error_code_of
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.runtime.deleted_records import delete_records
from mainstem.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

INVALID_LOW_WATERMARK = -1


async def handle(context: RequestContext, services: Services, request: DeleteRecordsRequest) -> DeleteRecordsResponse:
    topics = [
        DeleteRecordsTopicResult(
            name=topic.name, partitions=[_delete(services, topic.name, p) for p in topic.partitions]
        )
        for topic in request.topics
    ]
    if any(p.error_code == ErrorCode.NONE for topic in topics for p in topic.partitions):
        # What is answered as deleted does not come back after a crash, unless the disk is too full to note it.
        await services.partitions.save_checkpoints()
    return DeleteRecordsResponse(topics=topics)


def _delete(services: Services, topic: str, wanted: DeleteRecordsPartition) -> DeleteRecordsPartitionResult:
    low_watermark = INVALID_LOW_WATERMARK
    partition = services.partitions.get(topic, wanted.partition_index)
    try:
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if partition is not None:
            error = delete_records(partition, wanted.offset)
            if error is ErrorCode.NONE:
                low_watermark = partition.log_start_offset
    except StorageError as failure:
        error = error_code_of(failure)
    return DeleteRecordsPartitionResult(
        partition_index=wanted.partition_index, low_watermark=low_watermark, error_code=error
    )
