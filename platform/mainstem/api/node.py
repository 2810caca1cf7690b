"""The broker as code in the same process sees it: no socket, no client library. What transport_embedded stands on.

All calls belong to the broker's loop. Batches are record batches v2, as on the wire. Failures that a client would see as an
error code are raised as `RequestError`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from mainstem.model.ids import TopicPartition


class Slice(NamedTuple):
    """Whole batches of committed records; the first may begin below the offset asked for.

    `high_watermark` is the end of what will be read once all open transactions are decided. `next_offset`: records up to
    there were left out because they were aborted; -1 if none were.
    """

    data: bytes
    high_watermark: int
    next_offset: int = -1


class CommittedOffset(NamedTuple):
    """What a group has in one partition; `metadata` is the text that was committed with the offset."""

    offset: int
    metadata: str = ""


class LocalMember(Protocol):
    """A member of a consumer group by the protocol of KIP-848, without the socket: the broker assigns (`range`), and gives a
    partition only when the member that had it has said that it let it go.

    Raises: RequestError from every call. Joins anew after UNKNOWN_MEMBER_ID or FENCED_MEMBER_EPOCH. Calls wait for each other.
    """

    @property
    def member_id(self) -> str:
        """Empty before it has joined."""

    @property
    def member_epoch(self) -> int: ...

    async def join(self, topics: Collection[str]) -> Collection[TopicPartition] | None:
        """Under a new id, owning nothing. What it should have, as `heartbeat`."""

    async def heartbeat(self, owned: Collection[TopicPartition] | None = None) -> Collection[TopicPartition] | None:
        """`owned`, where that has changed. Returns what the member should have, None if that has not changed."""

    async def commit_offsets(self, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """Before it has joined: as somebody without membership."""

    async def leave(self) -> None:
        """Does nothing if it is no member."""


class LocalTransactions(Protocol):
    """A transactional id of this process: KIP-890's protocol without the socket. One transaction at a time.

    What is appended carries `producer_id`, `producer_epoch` and the transactional attribute; both change with each
    transaction. Raises: RequestError from every call, INVALID_PRODUCER_EPOCH or PRODUCER_FENCED where another process has
    taken the id over.
    """

    @property
    def producer_id(self) -> int: ...

    @property
    def producer_epoch(self) -> int: ...

    async def open(self) -> None:
        """Take the id over; a transaction that is open is aborted."""

    async def append(self, partition: TopicPartition, batch: bytes) -> int:
        """As `LocalNode.append`, and the partition joins the transaction."""

    async def commit_offsets(
        self, group_id: str, offsets: Mapping[TopicPartition, CommittedOffset], member: LocalMember
    ) -> None:
        """They count once the transaction is committed; refused now if `member` is none any more."""

    async def end(self, *, is_commit: bool) -> None:
        """Returns when the decision is durable; readers see it a moment later."""


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

    def last_stable_offset(self, partition: TopicPartition) -> int:
        """The end of what can be read without seeing records of open transactions."""

    def offset_for_time(self, partition: TopicPartition, timestamp: int) -> int | None:
        """First offset whose record is not older than `timestamp` (ms), None if there is none."""

    def member(self, group_id: str, rebalance_timeout_ms: int) -> LocalMember:
        """Of a group that others may share, over sockets too. `rebalance_timeout_ms`: how long the group waits for it to let
        partitions go."""

    def transactions(self, transactional_id: str, timeout_ms: int) -> LocalTransactions: ...

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Raises: RequestError, also if an offset is behind the high watermark, or if a topic is compacted only."""

    async def delete_topic(self, name: str) -> None:
        """Raises: RequestError (UNKNOWN_TOPIC_OR_PARTITION, …)."""

    async def commit_offsets(self, group_id: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """As a consumer without membership (assign-only) commits. Raises: RequestError."""

    async def committed_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """Only partitions that have one. Waits for those of transactions that are being decided."""

    async def group_offsets(self, group_id: str) -> Mapping[TopicPartition, CommittedOffset]:
        """All that a group has committed."""
