"""The transport port: topics for pipelines, on whatever carries them.

Bytes in and out, offsets, committed positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.api.node import LocalNode
from mainstem.api.spec import PluginConfig
from mainstem.model.errors import MainstemError
from mainstem.model.ids import TopicPartition


class FetchedBatch(msgspec.Struct, kw_only=True):
    """Records of one partition as bytes, in offset order.

    `next_offset` continues after them; `end_offset` is the partition's end as known now.
    """

    partition: TopicPartition
    batch: Batch
    offsets: list[int]
    next_offset: int
    end_offset: int


class RebalanceListener(Protocol):
    """Called while `fetch` runs. Everything is revoked before a new set is assigned (the eager protocol)."""

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """The member's whole assignment, which may be empty. Reading starts at the committed offsets; nothing of it is
        paused, whatever was before."""

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Commits still count until this returns."""

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Gone without notice, somebody else reads them already: commits would be refused."""


class TransportConsumer(Protocol):
    """One member of one consumer group. Without a committed offset it starts at the beginning of a partition,
    or at
    the end if it was made with `from_latest`."""

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None: ...

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        """At most one batch per partition, empty if nothing came in time.

        Where reading reaches the end of a partition, a batch (maybe without records) says so once:
        `next_offset == end_offset`. Raises: TransportError, and whatever the listener raised.
        """

    def pause(self, partitions: Sequence[TopicPartition]) -> None: ...

    def resume(self, partitions: Sequence[TopicPartition]) -> None: ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Returns when they are stored. Raises: TransportError."""

    async def close(self) -> None:
        """Leave the group without committing anything and without calling the listener."""


class TransportProducer(Protocol):
    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        """Hand over records of one partition (keys and values are bytes or None); may return before they are
        durable.

        Raises: TransportError.
        """

    async def flush(self) -> None:
        """Everything produced so far is acknowledged by all in-sync replicas.

        Raises: TransportError for the first record that was not, naming its topic and partition.
        """

    async def close(self) -> None:
        """Without flushing."""


class TransportError(MainstemError):
    """The carrier cannot be reached or refused; the text says what to check."""


class Transport(Protocol):
    """Raises: TransportError from every call that waits."""

    async def open(self) -> None: ...

    async def partition_count(self, topic: str) -> int | None:
        """None if the topic does not exist."""

    async def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        """Does nothing if it exists already. Returns when it can be written to."""

    async def end_offsets(self, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
        """(log start offset, end offset) of every partition."""

    async def read(self, partition: TopicPartition, offset: int, *, max_records: int, max_wait_ms: int) -> FetchedBatch:
        """Records from `offset` without any group; empty at the end."""

    def consumer(self, group_id: str, *, from_latest: bool = False) -> TransportConsumer: ...

    def producer(self) -> TransportProducer: ...

    async def close(self) -> None:
        """After its consumers and producers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSpec:
    """Descriptor. `name` is the URL scheme (`kafka://host:port`).

    `open(config, context, address, node)`: `address` is what follows `://`, `node` the broker in this process
    or None. What follows `?` in the URL is the configuration.
    """

    name: str
    open: Callable[[Any, PluginContext, str, LocalNode | None], Transport]
    config: type[PluginConfig] = PluginConfig
    needs_local_node: bool = False
