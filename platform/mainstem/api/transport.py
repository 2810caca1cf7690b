"""The transport port: topics for pipelines, on whatever carries them. Batches of bytes in and out, offsets, committed positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.api.node import LocalNode
from mainstem.api.spec import PluginConfig
from mainstem.model.ids import TopicPartition


class FetchedBatch(msgspec.Struct, kw_only=True):
    """Records of one partition as bytes, in offset order. `next_offset` continues; `end_offset` is the partition's end now."""

    partition: TopicPartition
    batch: Batch
    offsets: list[int]
    next_offset: int
    end_offset: int


class RebalanceListener(Protocol):
    """Called by the transport while `fetch` runs. What is revoked must be committed or dropped before `revoked` returns."""

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Returns the offsets to read from, for partitions that should not start at their committed offset."""

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None: ...


class TransportConsumer(Protocol):
    """One member of one consumer group."""

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None: ...

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]: ...

    def pause(self, partitions: Sequence[TopicPartition]) -> None: ...

    def resume(self, partitions: Sequence[TopicPartition]) -> None: ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...

    async def close(self) -> None: ...


class TransportProducer(Protocol):
    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        """Hand over records of one partition (keys and values are bytes); may return before they are durable."""

    async def flush(self) -> None:
        """Everything produced so far is acknowledged by all in-sync replicas. Raises: RequestError, TransportError."""

    async def close(self) -> None: ...


class TransportError(Exception):
    """The carrier cannot be reached or refused; the text says what to check."""


class Transport(Protocol):
    async def open(self) -> None: ...

    async def partition_count(self, topic: str) -> int | None:
        """None if the topic does not exist."""

    async def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        """Does nothing if it exists already."""

    async def end_offsets(self, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
        """(log start offset, end offset) of every partition."""

    def consumer(self, group_id: str) -> TransportConsumer: ...

    def producer(self) -> TransportProducer: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSpec:
    """Descriptor. `name` is the URL scheme (`kafka://host:port`). `open(config, context, address, node)`: `node` is the
    broker in this process, or None."""

    name: str
    open: Callable[[PluginConfig, PluginContext, str, LocalNode | None], Transport]
    config: type[PluginConfig] = PluginConfig
    needs_local_node: bool = False
