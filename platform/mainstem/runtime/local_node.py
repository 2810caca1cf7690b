"""The broker for code in the same process: `api.node.LocalNode` on partitions, groups and metadata. All on the broker's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

from mainstem.api.files import WouldBlock
from mainstem.api.node import CommittedOffset, Slice
from mainstem.model.committed import without_aborted
from mainstem.model.errors import ErrorCode, RequestError, StorageError
from mainstem.model.ids import TopicPartition
from mainstem.runtime import partition_lookup
from mainstem.runtime.deleted_records import delete_records
from mainstem.runtime.local_member import RuntimeMember
from mainstem.runtime.local_transactions import TRIES_MAX, TRY_AGAIN_S, RuntimeTransactions, TransactionParts
from mainstem.runtime.metadata import Metadata
from mainstem.runtime.partition import Partition
from mainstem.runtime.partition_outcomes import ReadOutcome, ReadUpTo
from mainstem.runtime.purgatory import DelayedFetch


class RuntimeNode:
    """See `api.node.LocalNode`."""

    def __init__(self, metadata: Metadata, parts: TransactionParts, executor: Executor) -> None:
        self._metadata = metadata
        self._parts = parts
        self._partitions = parts.partitions
        self._groups = parts.groups
        self._executor = executor
        self._members: set[str] = set()

    def _partition(self, wanted: TopicPartition) -> Partition:
        found = self._partitions.get(wanted.topic, wanted.partition)
        if found is None:
            raise RequestError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, str(wanted))
        return found

    async def create_topic(self, name: str, partitions: int, configs: Mapping[str, str]) -> None:
        result = await self._metadata.create_topic(name, partitions, 1, dict(configs))
        if result.error is not ErrorCode.NONE:
            raise RequestError(result.error, f"create topic {name}: {result.message}")

    def partition_count(self, topic: str) -> int | None:
        image = self._metadata.image.topics.get(topic)
        return None if image is None else len(image.partitions)

    async def append(self, partition: TopicPartition, batch: bytes) -> int:
        hosted = self._partition(partition)
        outcome = hosted.append(memoryview(bytearray(batch)))
        if outcome.error is not ErrorCode.NONE:
            raise RequestError(outcome.error, f"append to {partition}: {outcome.message}")
        committed: asyncio.Future[ErrorCode] = asyncio.get_running_loop().create_future()
        hosted.when_committed(outcome.last_offset, lambda e: None if committed.done() else committed.set_result(e))
        error = await committed
        if error is not ErrorCode.NONE:
            raise RequestError(error, f"append to {partition}")
        return outcome.base_offset

    async def read(self, partition: TopicPartition, offset: int, *, max_bytes: int, max_wait_ms: int) -> Slice:
        hosted = self._partition(partition)
        outcome = await self._read(hosted, offset, max_bytes)
        if not outcome.data and outcome.error is ErrorCode.NONE and max_wait_ms > 0:
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting = DelayedFetch([hosted], 1, max_wait_ms, lambda: arrived.set_result(None), is_stable=True)
            try:
                await arrived
            finally:
                waiting.cancel()
            outcome = await self._read(hosted, offset, max_bytes)
        if outcome.error is not ErrorCode.NONE:
            raise RequestError(outcome.error, f"read {partition} at offset {offset}")
        if outcome.aborted:
            committed = without_aborted(bytes(outcome.data), outcome.aborted)
            return Slice(committed.data, outcome.high_watermark, committed.next_offset)
        return Slice(bytes(outcome.data), outcome.high_watermark)

    async def _read(self, partition: Partition, offset: int, max_bytes: int) -> ReadOutcome:
        try:
            return partition.read(offset, max_bytes, up_to=ReadUpTo.LAST_STABLE_OFFSET, may_block=False)
        except WouldBlock:
            return await asyncio.get_running_loop().run_in_executor(
                self._executor,
                lambda: partition.read(offset, max_bytes, up_to=ReadUpTo.LAST_STABLE_OFFSET, may_block=True),
            )

    def log_start_offset(self, partition: TopicPartition) -> int:
        return self._partition(partition).log_start_offset

    def high_watermark(self, partition: TopicPartition) -> int:
        hosted = self._partition(partition)
        hosted.want_all()
        return hosted.high_watermark

    def last_stable_offset(self, partition: TopicPartition) -> int:
        hosted = self._partition(partition)
        hosted.want_all()
        return hosted.last_stable_offset

    def member(self, group_id: str, rebalance_timeout_ms: int) -> RuntimeMember:
        return RuntimeMember(self._groups, lambda: self._metadata.image, self._members, group_id, rebalance_timeout_ms)

    def transactions(self, transactional_id: str, timeout_ms: int) -> RuntimeTransactions:
        return RuntimeTransactions(self._parts, transactional_id, timeout_ms)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        try:
            for partition, offset in before.items():
                error = delete_records(self._partition(partition), offset)
                if error is not ErrorCode.NONE:
                    raise RequestError(error, f"delete records of {partition} before offset {offset}")
            await self._partitions.save_checkpoints()
        except StorageError as error:
            raise RequestError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error

    async def delete_topic(self, name: str) -> None:
        error = await self._metadata.delete_topic(name)
        if error is not ErrorCode.NONE:
            raise RequestError(error, f"delete topic {name}")

    def offset_for_time(self, partition: TopicPartition, timestamp: int) -> int | None:
        found = partition_lookup.offset_for_time(self._partition(partition), timestamp)
        return None if found is None else found.offset

    async def commit_offsets(self, group_id: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        await self._groups.commit_offsets(group_id, offsets)

    async def committed_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        return await self._stable_offsets(group_id, partitions)

    async def group_offsets(self, group_id: str) -> Mapping[TopicPartition, CommittedOffset]:
        return await self._stable_offsets(group_id, None)

    async def _stable_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition] | None
    ) -> Mapping[TopicPartition, CommittedOffset]:
        for _ in range(TRIES_MAX):
            try:
                return await self._groups.committed_offsets(group_id, partitions)
            except RequestError as error:
                if error.code is not ErrorCode.UNSTABLE_OFFSET_COMMIT:
                    raise
                await asyncio.sleep(TRY_AGAIN_S)  # a transaction with offsets of the group is being decided
        return await self._groups.committed_offsets(group_id, partitions)
