"""Record batches of a partition as columns."""

from __future__ import annotations

from mainstem.api.batch import Batch
from mainstem.api.node import LocalNode
from mainstem.api.transport import FetchedBatch, TransportError
from mainstem.model import records
from mainstem.model.batch import iterate
from mainstem.model.compression import CorruptRecords
from mainstem.model.ids import TopicPartition


async def read_records(
    node: LocalNode, partition: TopicPartition, offset: int, max_bytes: int, *, max_records: int, max_wait_ms: int
) -> FetchedBatch:
    """Raises: RequestError, TransportError for records that do not decode."""
    data, high_watermark, left_out = await node.read(partition, offset, max_bytes=max_bytes, max_wait_ms=max_wait_ms)
    try:
        columns = records.decode(data, from_offset=offset, limit=max_records)
    except CorruptRecords as error:
        raise TransportError(f"{partition} cannot be read at offset {offset}: {error}") from error
    if left_out >= 0 and len(columns) < max_records:
        next_offset = left_out
    elif len(columns):
        next_offset = columns.offsets[-1] + 1
    else:
        # Control batches and batches that compaction has emptied hold no records and still take offsets.
        next_offset = max((header.next_offset for _, header in iterate(data)), default=offset)
    batch = Batch(
        keys=columns.keys,
        values=columns.values,
        timestamps=columns.timestamps,
        headers=columns.headers if any(columns.headers) else None,
    )
    return FetchedBatch(
        partition=partition,
        batch=batch,
        offsets=columns.offsets,
        next_offset=next_offset,
        end_offset=max(high_watermark, next_offset),
    )
