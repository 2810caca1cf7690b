"""What DeleteRecords does to a partition, for requests and for code in the same process."""

from __future__ import annotations

from mainstem.model.errors import ErrorCode
from mainstem.model.topic import INTERNAL_TOPICS
from mainstem.runtime.partition import Partition

HIGH_WATERMARK = -1


def delete_records(partition: Partition, before: int) -> ErrorCode:
    """`before` HIGH_WATERMARK: everything that is there. Raises: StorageError."""
    if partition.topic_partition.topic in INTERNAL_TOPICS:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    if "delete" not in partition.config.cleanup_policy:
        return ErrorCode.POLICY_VIOLATION
    high_watermark = partition.high_watermark
    offset = high_watermark if before == HIGH_WATERMARK else before
    if not 0 <= offset <= high_watermark:
        return ErrorCode.OFFSET_OUT_OF_RANGE
    partition.trim(offset)
    return ErrorCode.NONE
