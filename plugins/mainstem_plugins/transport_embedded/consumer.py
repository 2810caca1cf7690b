"""Reads every partition of its topics from the broker in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.api.node import CommittedOffset, LocalNode
from mainstem.api.transport import Committed, FetchedBatch, RebalanceListener, TransportError
from mainstem.model.errors import ErrorCode, RequestError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_embedded import EmbeddedConfig
from mainstem_plugins.transport_embedded.reading import read_records
from mainstem_plugins.transport_embedded.trouble import trouble


class EmbeddedConsumer:
    """`fetch` asks the partitions in turn, beginning behind the one that was served last."""

    def __init__(
        self, config: EmbeddedConfig, context: PluginContext, node: LocalNode, group_id: str, *, from_latest: bool
    ) -> None:
        self._config = config
        self._log = context.log
        self._node = node
        self.group_id = group_id
        self._from_latest = from_latest
        self._topics: Sequence[str] = ()
        self._listener: RebalanceListener | None = None
        self._next: dict[TopicPartition, int] | None = None
        self._paused: set[TopicPartition] = set()
        self._told_end: dict[TopicPartition, int] = {}

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        for topic in topics:
            if self._node.partition_count(topic) is None:
                raise TransportError(f"topic {topic} does not exist")
        self._topics, self._listener = topics, listener

    async def _assign(self) -> dict[TopicPartition, int]:
        assert self._listener is not None, "subscribe comes before fetch"
        node = self._node
        partitions = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in range(node.partition_count(topic) or 0)
        ]
        committed = await self.committed(partitions)
        self._next = {
            partition: committed[partition].offset if partition in committed else self._beginning(partition)
            for partition in partitions
        }
        for partition, offset in self._next.items():
            self._next[partition] = max(offset, node.log_start_offset(partition))
        await self._listener.assigned(partitions)
        return self._next

    def _beginning(self, partition: TopicPartition) -> int:
        return self._node.last_stable_offset(partition) if self._from_latest else 0

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        offsets = self._next if self._next is not None else await self._assign()
        active = [partition for partition in offsets if partition not in self._paused]
        fetched: list[FetchedBatch] = []
        records = 0
        for partition in active:
            if records >= max_records:
                break
            one = await self._read(partition, max_records - records)
            if one is not None:
                fetched.append(one)
                records += len(one.batch)
                offsets[partition] = offsets.pop(partition)  # to the end of the queue
        if fetched or not max_wait_ms:
            return fetched
        await self._wait(active, max_wait_ms)
        return await self.fetch(max_records=max_records, max_wait_ms=0)

    async def _wait(self, active: Sequence[TopicPartition], max_wait_ms: int) -> None:
        """Until one of the partitions has something."""
        if not active:
            await asyncio.sleep(max_wait_ms / 1000)
            return
        assert self._next is not None, "assigned before it waits"
        waiting = [
            asyncio.ensure_future(
                self._node.read(partition, self._next[partition], max_bytes=1, max_wait_ms=max_wait_ms)
            )
            for partition in active
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            # What they raised will be raised by the next read of the partition.
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _read(self, partition: TopicPartition, max_records: int) -> FetchedBatch | None:
        assert self._next is not None, "assigned before it reads"
        offset = self._next[partition]
        if offset == self._node.last_stable_offset(partition):
            if self._told_end.get(partition) == offset:
                return None
            self._told_end[partition] = offset
            nothing = Batch(keys=[], values=[], timestamps=[])
            return FetchedBatch(partition=partition, batch=nothing, offsets=[], next_offset=offset, end_offset=offset)
        try:
            one = await read_records(
                self._node, partition, offset, self._config.fetch_bytes, max_records=max_records, max_wait_ms=0
            )
        except RequestError as error:
            if error.code is not ErrorCode.OFFSET_OUT_OF_RANGE:
                raise TransportError(f"{partition} cannot be read: {error}") from error
            self._next[partition] = self._node.log_start_offset(partition)
            self._log.warning(
                "transport.offset_out_of_range", partition=str(partition), offset=offset, reset=self._next[partition]
            )
            return None
        if one.next_offset == offset:
            return None  # an open transaction: its records cannot be read yet
        self._next[partition] = one.next_offset
        if one.next_offset == one.end_offset:
            self._told_end[partition] = one.end_offset
        return one

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        assert self._next is not None, "assigned before it seeks"
        for partition, offset in offsets.items():
            if partition not in self._next:
                raise TransportError(f"{partition} is not assigned")
            self._next[partition] = offset
            self._told_end.pop(partition, None)

    async def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        try:
            found = await self._node.committed_offsets(self.group_id, partitions)
        except RequestError as error:
            raise trouble(error, f"the offsets of group {self.group_id} cannot be read") from error
        return {partition: Committed(one.offset, one.metadata) for partition, one in found.items()}

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        told = {partition: CommittedOffset(one.offset, one.metadata) for partition, one in offsets.items()}
        try:
            await self._node.commit_offsets(self.group_id, told)
        except RequestError as error:
            if error.code is ErrorCode.UNKNOWN_MEMBER_ID:
                hint = "other consumers use this group over the network: stop them or give the pipeline another name"
                raise TransportError(f"group {self.group_id} cannot commit: {error}; {hint}") from error
            raise trouble(error, f"group {self.group_id} cannot commit") from error

    async def close(self) -> None:
        self._next, self._paused = {}, set()
