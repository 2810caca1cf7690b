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


class Committed(msgspec.Struct, frozen=True):
    """A group's position in one partition: the next offset to read, and a text that is stored and replaced with it.

    The text is at most 4,096 bytes (`offset.metadata.max.bytes`); pipelines keep there which state belongs to the offset.
    """

    offset: int
    metadata: str = ""


class RebalanceListener(Protocol):
    """Called while `fetch` runs. What stays assigned is never revoked where the carrier can do that (cooperative
    protocols, KIP-429, KIP-848); elsewhere everything is revoked and assigned again (the eager protocol)."""

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions that came, maybe none: called each time the member's assignment has settled.

        Reading them starts at the committed offsets, or where `seek` puts it before this returns, and nothing of
        them is paused.
        """

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions that go; commits for them still count until this returns."""

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Gone without notice, somebody else reads them already: commits would be refused."""


class TransportConsumer(Protocol):
    """One member of one consumer group. Without a committed offset it starts at the beginning of a partition, or at
    the end if it was made with `from_latest`.

    Topics with equal partition counts are co-partitioned: partition 3 of all of them comes to the same member.
    """

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None: ...

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        """At most one batch per partition, empty if nothing came in time.

        Where reading reaches the end of a partition, a batch (maybe without records) says so once:
        `next_offset == end_offset`. Raises: TransportError, and whatever the listener raised.
        """

    def pause(self, partitions: Sequence[TopicPartition]) -> None: ...

    def resume(self, partitions: Sequence[TopicPartition]) -> None: ...

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read assigned partitions on from these offsets. What was fetched before and not returned is dropped.

        In `assigned`, or between two calls of `fetch`. Raises: TransportError.
        """

    async def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        """What the group has committed, without those partitions that have nothing. Raises: TransportError."""

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Returns when they are stored, all or none of one call. Also partitions that are assigned and paused.

        Raises: TransportError; NotMember if somebody else reads them by now.
        """

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


class AppendingProducer(TransportProducer, Protocol):
    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        """`produce`, and wait until the records are acknowledged. For whoever has to know where each of them is; one producer
        is used with this or with `produce`, not with both.

        Returns their offsets; None in a transaction, where not every carrier knows them. Raises: TransportError.
        """


class TransactionalProducer(AppendingProducer, Protocol):
    """What is produced between `begin` and `commit` becomes visible at once with the consumer's offsets, or never.

    One per worker; whoever opens another with the same transactional id fences this one. KIP-98, KIP-447.
    """

    async def open(self) -> None:
        """Take the transactional id over: what an earlier owner left undecided is aborted. Raises: TransportError."""

    async def begin(self) -> None: ...

    async def commit(self, offsets: Mapping[TopicPartition, Committed], consumer: TransportConsumer) -> None:
        """Flush, add the offsets as the consumer's member of its group, commit. `consumer` is one of this transport's.

        Raises: Fenced, NotMember; TransportError for anything else. After each of them `abort` is the way on, except
        after Fenced.
        """

    async def abort(self) -> None:
        """Nothing produced since `begin` will be seen. Raises: Fenced, TransportError."""


class TransportError(MainstemError):
    """The carrier cannot be reached or refused; the text says what to check."""


class NotMember(TransportError):
    """A commit came too late: the group gave the partitions to somebody else. What was read must be forgotten."""


class Fenced(TransportError):
    """Another process owns this transactional id by now; this one must stop."""


class TransportTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What a transport can do. Plans print what follows from it, and the conformance suite holds it to its word.

    `transactions`: `v1` (KIP-98 as librdkafka speaks it), `v2` (KIP-890) or None. `has_groups`: several members of a
    group share its partitions. `is_durable`: topics outlive the process. `is_dense`: offsets count up by one.
    `compacts`: topics with `cleanup.policy=compact` keep the last record of each key.
    """

    has_groups: bool
    transactions: str | None
    is_durable: bool
    is_dense: bool
    compacts: bool


class Transport(Protocol):
    """Raises: TransportError from every call that waits."""

    @property
    def traits(self) -> TransportTraits: ...

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

    def producer(self) -> AppendingProducer: ...

    def transactional_producer(self, transactional_id: str) -> TransactionalProducer:
        """Raises: TransportError if `traits.transactions` is None."""

    async def offsets_for_time(self, topic: str, timestamp: int) -> Mapping[TopicPartition, int]:
        """Of every partition the first offset whose record is not older than `timestamp` (ms), or its end."""

    async def group_offsets(self, group_id: str) -> Mapping[TopicPartition, int]:
        """What a group has committed, from outside it; empty for a group that nobody knows."""

    async def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Move a group that has no members. Raises: TransportError, also if it has some."""

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Records before these offsets are not needed any more. Some of them may stay if storage is cut in larger pieces."""

    async def delete_topic(self, topic: str) -> None:
        """Does nothing if it does not exist."""

    async def close(self) -> None:
        """After its consumers and producers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSpec:
    """Descriptor. `name` is the URL scheme (`kafka://host:port`).

    `open(config, context, address, node)`: `address` is what follows `://`, `node` the broker in this process
    or None. What follows `?` in the URL is the configuration. `is_in_process`: its topics are seen by this process only,
    so that workers in processes of their own cannot share them.
    """

    name: str
    open: Callable[[Any, PluginContext, str, LocalNode | None], Transport]
    config: type[PluginConfig] = PluginConfig
    needs_local_node: bool = False
    is_in_process: bool = False
