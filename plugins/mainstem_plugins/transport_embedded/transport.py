"""Topics of the broker in this process. Consumers have their group to themselves: they commit, and are no members."""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.api.context import PluginContext
from mainstem.api.node import LocalNode
from mainstem.api.transport import FetchedBatch, TransportError
from mainstem.model.errors import ErrorCode, RequestError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_embedded import EmbeddedConfig
from mainstem_plugins.transport_embedded.consumer import EmbeddedConsumer
from mainstem_plugins.transport_embedded.producer import EmbeddedProducer
from mainstem_plugins.transport_embedded.reading import read_records


class EmbeddedTransport:
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
        count = self._node.partition_count(topic)
        if count is None:
            raise TransportError(f"topic {topic} does not exist")
        partitions = [TopicPartition(topic, number) for number in range(count)]
        return {
            partition: (self._node.log_start_offset(partition), self._node.high_watermark(partition))
            for partition in partitions
        }

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

    async def close(self) -> None:
        pass
