"""ListOffsets, v1–10. v2: up to the last stable offset for read_committed.

-1 latest, -2 earliest, -3 largest timestamp, -4 earliest local (v8), -5 latest tiered (v9: none here).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.runtime.partition import Partition
from mainstem.runtime.partition_lookup import largest_timestamp, offset_for_time
from mainstem.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

READ_COMMITTED = 1
COMMIT_WAIT_S = 5.0
LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -1, -2, -3, -4, -5


def handle(
    context: RequestContext, services: Services, request: ListOffsetsRequest
) -> ListOffsetsResponse | Coroutine[Any, Any, ListOffsetsResponse]:
    if any(p.timestamp >= 0 or p.timestamp == MAX_TIMESTAMP for t in request.topics for p in t.partitions):
        return _handle_lookups(services, request)
    uncommitted = _uncommitted(services, request)
    if uncommitted:
        return _handle_when_committed(services, request, uncommitted)
    return _answer_all(services, request)


def _uncommitted(services: Services, request: ListOffsetsRequest) -> list[Partition]:
    """Who asks where a log ends shall hear of what was acknowledged (acks=1) a moment ago, too."""
    found = (services.partitions.get(t.name, p.partition_index) for t in request.topics for p in t.partitions)
    return [p for p in found if p is not None and p.is_open and not p.want_all()]


async def _handle_when_committed(
    services: Services, request: ListOffsetsRequest, uncommitted: list[Partition]
) -> ListOffsetsResponse:
    await _commit(uncommitted)
    return _answer_all(services, request)


async def _commit(uncommitted: list[Partition]) -> None:
    loop = asyncio.get_running_loop()
    waits: list[asyncio.Future[ErrorCode]] = [loop.create_future() for _ in uncommitted]
    for partition, wait in zip(uncommitted, waits, strict=True):
        partition.when_committed(partition.log_end_offset - 1, partial(_settle, wait))
    await asyncio.wait(waits, timeout=COMMIT_WAIT_S)


def _settle(wait: asyncio.Future[ErrorCode], error: ErrorCode) -> None:
    if not wait.done():
        wait.set_result(error)


def _answer_all(services: Services, request: ListOffsetsRequest) -> ListOffsetsResponse:
    is_committed_only = request.isolation_level == READ_COMMITTED
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    _answer(p, services.partitions.get(topic.name, p.partition_index), is_committed_only)
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


async def _handle_lookups(services: Services, request: ListOffsetsRequest) -> ListOffsetsResponse:
    """Looking for a time may read from the disk, so the whole request is answered off the loop."""
    if uncommitted := _uncommitted(services, request):
        await _commit(uncommitted)
    topics = []
    for topic in request.topics:
        rows = []
        for wanted in topic.partitions:
            partition = services.partitions.get(topic.name, wanted.partition_index)
            if partition is None or not (wanted.timestamp >= 0 or wanted.timestamp == MAX_TIMESTAMP):
                rows.append(_answer(wanted, partition, request.isolation_level == READ_COMMITTED))
            else:
                rows.append(await _look_up(services, wanted, partition))
        topics.append(ListOffsetsTopicResponse(name=topic.name, partitions=rows))
    return ListOffsetsResponse(topics=topics)


async def _look_up(
    services: Services, wanted: ListOffsetsPartition, partition: Partition
) -> ListOffsetsPartitionResponse:
    error = _epoch_problem(wanted, partition)
    if error is not ErrorCode.NONE:
        return ListOffsetsPartitionResponse(partition_index=wanted.partition_index, error_code=error)
    loop = asyncio.get_running_loop()
    if wanted.timestamp == MAX_TIMESTAMP:
        found = await loop.run_in_executor(services.executor, largest_timestamp, partition)
    else:
        found = await loop.run_in_executor(services.executor, offset_for_time, partition, wanted.timestamp)
    if found is None:
        return ListOffsetsPartitionResponse(partition_index=wanted.partition_index)
    return ListOffsetsPartitionResponse(
        partition_index=wanted.partition_index,
        timestamp=found.timestamp,
        offset=found.offset,
        leader_epoch=partition.leader_epoch,
    )


def _epoch_problem(wanted: ListOffsetsPartition, partition: Partition) -> ErrorCode:
    epoch = wanted.current_leader_epoch
    if epoch < 0 or epoch == partition.leader_epoch:
        return ErrorCode.NONE
    return ErrorCode.FENCED_LEADER_EPOCH if epoch < partition.leader_epoch else ErrorCode.UNKNOWN_LEADER_EPOCH


def _answer(
    wanted: ListOffsetsPartition, partition: Partition | None, is_committed_only: bool
) -> ListOffsetsPartitionResponse:
    index = wanted.partition_index
    if partition is None:
        return ListOffsetsPartitionResponse(partition_index=index, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    error = _epoch_problem(wanted, partition)
    if error is not ErrorCode.NONE:
        return ListOffsetsPartitionResponse(partition_index=index, error_code=error)
    match wanted.timestamp:
        case -1:
            offset = partition.last_stable_offset if is_committed_only else partition.high_watermark
        case -2 | -4:
            offset = partition.log_start_offset
        case -5:
            # Nothing is tiered, as on a Kafka without remote storage.
            return ListOffsetsPartitionResponse(partition_index=index)
        case _:
            return ListOffsetsPartitionResponse(partition_index=index, error_code=ErrorCode.UNSUPPORTED_VERSION)
    return ListOffsetsPartitionResponse(partition_index=index, offset=offset, leader_epoch=partition.leader_epoch)
