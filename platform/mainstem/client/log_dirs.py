"""DescribeLogDirs: which folders a broker keeps its partitions in, and how large they are."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from mainstem.client.cluster import Cluster
from mainstem.client.errors import check, error_of
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse

NEWEST_VERSION = 4


class LogDirReplica(msgspec.Struct, frozen=True, kw_only=True):
    """`offset_lag` in records: behind the high watermark, or for a future replica behind the current one."""

    partition: TopicPartition
    size_bytes: int
    offset_lag: int
    is_future: bool


class LogDir(msgspec.Struct, frozen=True, kw_only=True):
    """`error` is set for a folder that cannot be used."""

    path: str
    error: ErrorCode
    total_bytes: int
    usable_bytes: int
    replicas: tuple[LogDirReplica, ...]


def describe_log_dirs(cluster: Cluster, broker_id: int, topics: Collection[str] | None = None) -> list[LogDir]:
    """All folders of a broker, with the replicas of these topics, or of all. Raises: UnreachableError, RefusedError."""
    answer = cluster.broker(broker_id).ask(
        ApiKey.DESCRIBE_LOG_DIRS, DescribeLogDirsRequest(topics=None), NEWEST_VERSION
    )
    assert isinstance(answer, DescribeLogDirsResponse), answer
    check(answer.error_code)
    return [
        LogDir(
            path=each.log_dir,
            error=error_of(each.error_code),
            total_bytes=each.total_bytes,
            usable_bytes=each.usable_bytes,
            replicas=tuple(
                LogDirReplica(
                    partition=TopicPartition(topic.name, replica.partition_index),
                    size_bytes=replica.partition_size,
                    offset_lag=replica.offset_lag,
                    is_future=replica.is_future_key,
                )
                for topic in each.topics
                if topics is None or topic.name in topics
                for replica in topic.partitions
            ),
        )
        for each in answer.results
    ]
