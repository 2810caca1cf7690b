"""Topics of the broker in this process. Consumers have their group to themselves: they commit, and are no members."""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.api.context import PluginContext
from mainstem.api.node import CommittedOffset, LocalNode
from mainstem.api.transport import FetchedBatch, TransportError, TransportTraits
from mainstem.model.errors import ErrorCode, RequestError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_embedded import EmbeddedConfig
from mainstem_plugins.transport_embedded.consumer import EmbeddedConsumer
from mainstem_plugins.transport_embedded.producer import EmbeddedProducer
from mainstem_plugins.transport_embedded.reading import read_records
from mainstem_plugins.transport_embedded.transactions import EmbeddedTransactions
from mainstem_plugins.transport_embedded.trouble import trouble


class EmbeddedTransport:
    traits = TransportTraits(has_groups=True, transactions="v2", is_durable=True, is_dense=True, compacts=True)

    def __init__(self, config: EmbeddedConfig, context: PluginContext, node: LocalNode) -> None:
        self._config = config
        self._context = context
        self._node = node

    async def open(self) -> None:
        pass

    async def partition_count(self, topic: str) -> int | None:
        return self._node.partition_count(topic)

    async def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        try:
            await self._node.create_topic(topic, partitions, configs)
        except RequestError as error:
            if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS:
                raise TransportError(f"topic {topic} cannot be created: {error}") from error

    async def end_offsets(self, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
        return {
            partition: (self._node.log_start_offset(partition), self._node.last_stable_offset(partition))
            for partition in self._partitions(topic)
        }

    def _partitions(self, topic: str) -> list[TopicPartition]:
        count = self._node.partition_count(topic)
        if count is None:
            raise TransportError(f"topic {topic} does not exist")
        return [TopicPartition(topic, number) for number in range(count)]

    async def offsets_for_time(self, topic: str, timestamp: int) -> Mapping[TopicPartition, int]:
        found = {}
        for partition in self._partitions(topic):
            offset = self._node.offset_for_time(partition, timestamp)
            found[partition] = self._node.last_stable_offset(partition) if offset is None else offset
        return found

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        try:
            await self._node.delete_records(before)
        except RequestError as error:
            raise trouble(error, "records cannot be deleted") from error

    async def delete_topic(self, topic: str) -> None:
        try:
            await self._node.delete_topic(topic)
        except RequestError as error:
            if error.code is not ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                raise trouble(error, f"topic {topic} cannot be deleted") from error

    async def group_offsets(self, group_id: str) -> Mapping[TopicPartition, int]:
        try:
            found = await self._node.group_offsets(group_id)
        except RequestError as error:
            raise trouble(error, f"the offsets of group {group_id} cannot be read") from error
        return {partition: one.offset for partition, one in found.items()}

    async def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        try:
            await self._node.commit_offsets(group_id, {p: CommittedOffset(offset) for p, offset in offsets.items()})
        except RequestError as error:
            raise TransportError(f"group {group_id} cannot be moved: {error}; stop its members first") from error

    async def read(self, partition: TopicPartition, offset: int, *, max_records: int, max_wait_ms: int) -> FetchedBatch:
        try:
            return await read_records(
                self._node,
                partition,
                offset,
                self._config.fetch_bytes,
                max_records=max_records,
                max_wait_ms=max_wait_ms,
            )
        except RequestError as error:
            raise TransportError(f"{partition} cannot be read at offset {offset}: {error}") from error

    def consumer(self, group_id: str, *, from_latest: bool = False) -> EmbeddedConsumer:
        return EmbeddedConsumer(self._config, self._context, self._node, group_id, from_latest=from_latest)

    def producer(self) -> EmbeddedProducer:
        return EmbeddedProducer(self._config, self._node)

    def transactional_producer(self, transactional_id: str) -> EmbeddedTransactions:
        return EmbeddedTransactions(self._config, self._node, transactional_id)

    async def close(self) -> None:
        pass
