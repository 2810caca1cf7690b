"""DeleteRecords, v0–2. Moves log start offsets (KIP-107); offset -1 means the high watermark."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.error_map import error_code_of
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.topic import INTERNAL_TOPICS
from mainstem.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

HIGH_WATERMARK = -1
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
    index = wanted.partition_index
    try:
        error, low_watermark = _trim(services, topic, wanted)
    except StorageError as failure:
        error, low_watermark = error_code_of(failure), INVALID_LOW_WATERMARK
    return DeleteRecordsPartitionResult(partition_index=index, low_watermark=low_watermark, error_code=error)


def _trim(services: Services, topic: str, wanted: DeleteRecordsPartition) -> tuple[ErrorCode, int]:
    """Raises: StorageError."""
    partition = services.partitions.get(topic, wanted.partition_index)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, INVALID_LOW_WATERMARK
    if topic in INTERNAL_TOPICS:
        return ErrorCode.INVALID_TOPIC_EXCEPTION, INVALID_LOW_WATERMARK
    if "delete" not in partition.config.cleanup_policy:
        return ErrorCode.POLICY_VIOLATION, INVALID_LOW_WATERMARK
    high_watermark = partition.high_watermark
    offset = high_watermark if wanted.offset == HIGH_WATERMARK else wanted.offset
    if not 0 <= offset <= high_watermark:
        return ErrorCode.OFFSET_OUT_OF_RANGE, INVALID_LOW_WATERMARK
    partition.trim(offset)
    return ErrorCode.NONE, partition.log_start_offset
