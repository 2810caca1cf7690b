"""DescribeLogDirs, v1–4 (KIP-113). v3: an error for all. v4: size of the disk (KIP-827)."""

from __future__ import annotations

import asyncio

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.runtime.disk_space import UNKNOWN_SPACE, DiskSpace, disk_space
from mainstem.runtime.log_directory import LogDirectory
from mainstem.runtime.partition import Partition
from mainstem.wire.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

Wanted = set[tuple[str, int]] | None


async def handle(
    context: RequestContext, services: Services, request: DescribeLogDirsRequest
) -> DescribeLogDirsResponse:
    wanted = None
    if request.topics is not None:
        wanted = {(topic.topic, index) for topic in request.topics for index in topic.partitions}
    directories = services.partitions.directories
    return DescribeLogDirsResponse(results=[await _describe(services, each, wanted) for each in directories])


async def _describe(services: Services, directory: LogDirectory, wanted: Wanted) -> DescribeLogDirsResult:
    place = directory.store.place
    if directory.is_offline:
        return DescribeLogDirsResult(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=place)
    topics: dict[str, list[DescribeLogDirsPartition]] = {}
    for partition in tuple(services.partitions):
        name = partition.topic_partition
        if partition.store is not directory.store or not (wanted is None or (name.topic, name.partition) in wanted):
            continue
        try:
            row = await _row(directory, partition)
        except StorageError:
            return DescribeLogDirsResult(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=place)
        topics.setdefault(name.topic, []).append(row)
    space = await _space(services, place)
    return DescribeLogDirsResult(
        log_dir=place,
        topics=[DescribeLogDirsTopic(name=name, partitions=rows) for name, rows in topics.items()],
        total_bytes=space.total_bytes,
        usable_bytes=space.usable_bytes,
    )


async def _row(directory: LogDirectory, partition: Partition) -> DescribeLogDirsPartition:
    """Raises: StorageError."""
    index = partition.topic_partition.partition
    if not partition.is_open:
        if partition.topic_partition not in directory.stored:
            return DescribeLogDirsPartition(partition_index=index)
        # Its log is opened for this, which takes a while for thousands of them: other clients go on in between.
        await asyncio.sleep(0)
    size = partition.log.size
    return DescribeLogDirsPartition(
        partition_index=index,
        partition_size=size,
        offset_lag=max(0, partition.high_watermark - partition.log_end_offset),
    )


async def _space(services: Services, place: str) -> DiskSpace:
    if not services.partitions.is_durable:
        return UNKNOWN_SPACE
    # The file system of a network can take its time to answer.
    return await asyncio.get_running_loop().run_in_executor(services.executor, disk_space, place)
