"""The broker as code in the same process sees it: no socket, no client library. What transport_embedded stands on.

All calls belong to the broker's loop. Batches are record batches v2, as on the wire. Failures that a client would see as an
error code are raised as `RequestError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from mainstem.model.ids import TopicPartition


class Slice(NamedTuple):
    """Whole batches; the first may begin below the offset asked for. `high_watermark` is the end of what can be read."""

    data: bytes
    high_watermark: int


class LocalNode(Protocol):
    async def create_topic(self, name: str, partitions: int, configs: Mapping[str, str]) -> None:
        """Raises: RequestError (TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_CONFIG, …)."""

    def partition_count(self, topic: str) -> int | None:
        """None if the topic does not exist."""

    async def append(self, partition: TopicPartition, batch: bytes) -> int:
        """Append one record batch with acks=all; returns its base offset once it is committed. Raises: RequestError."""

    async def read(self, partition: TopicPartition, offset: int, *, max_bytes: int, max_wait_ms: int) -> Slice:
        """Committed batches from `offset`; waits up to `max_wait_ms` while there are none. Raises: RequestError."""

    def log_start_offset(self, partition: TopicPartition) -> int: ...

    def high_watermark(self, partition: TopicPartition) -> int: ...

    def offset_for_time(self, partition: TopicPartition, timestamp: int) -> int | None:
        """First offset whose record is not older than `timestamp` (ms), None if there is none."""

    async def commit_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        """As a consumer without membership (assign-only) commits. Raises: RequestError."""

    async def committed_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Only partitions that have one."""
