"""Fetch, v4–18. v7: sessions (KIP-227). v9: leader epochs are checked. v12: diverging epochs (KIP-595). v13: topic ids (KIP-516).

Not done: KIP-392 rack reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mainstem.api.files import WouldBlock
from mainstem.broker.context import RequestContext
from mainstem.broker.error_map import error_code_of
from mainstem.broker.reply import ReplyLine, ReplySlot
from mainstem.broker.services import Services
from mainstem.core.fetch.session import FetchContext, FetchedBefore, FetchPartition
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.runtime.partition import Partition
from mainstem.runtime.partition_outcomes import ReadUpTo
from mainstem.runtime.purgatory import DelayedFetch
from mainstem.wire.apis import ApiKey
from mainstem.wire.hot_fetch import (
    TOPIC_IDS_FROM,
    FetchedPartition,
    FetchedTopic,
    FetchRequest,
    decode_request,
    encode_response,
)

READ_COMMITTED = 1


def handle_frame(
    line: ReplyLine, context: RequestContext, services: Services, frame: memoryview, body: int, correlation_id: int
) -> None:
    """Raises: MalformedMessage."""
    request = decode_request(frame, body, context.api_version)
    _Fetch(line, services, request, correlation_id, context.api_version).start()


class _Fetch:
    """One request: read; below min_bytes wait and read again; off the loop where the disk must be waited for."""

    __slots__ = (
        "_context",
        "_correlation_id",
        "_line",
        "_request",
        "_services",
        "_slot",
        "_started",
        "_up_to",
        "_version",
    )

    def __init__(
        self, line: ReplyLine, services: Services, request: FetchRequest, correlation_id: int, version: int
    ) -> None:
        self._line = line
        self._services = services
        self._request = request
        self._correlation_id = correlation_id
        self._version = version
        self._slot: ReplySlot | None = None
        self._started = asyncio.get_running_loop().time()
        self._context: FetchContext = services.fetch_sessions.begin(
            request.session_id,
            request.session_epoch,
            request.topics,
            request.forgotten,
            uses_topic_ids=version >= TOPIC_IDS_FROM,
            is_follower=request.replica_id >= 0,
            now_ms=services.clock.monotonic_ms(),
        )
        if request.replica_id >= 0:
            self._up_to = ReadUpTo.LOG_END
        elif request.isolation_level == READ_COMMITTED:
            self._up_to = ReadUpTo.LAST_STABLE_OFFSET
        else:
            self._up_to = ReadUpTo.HIGH_WATERMARK

    def start(self) -> None:
        request, context = self._request, self._context
        if context.error is not ErrorCode.NONE:
            self._send(context.error, ())
            return
        try:
            rows, size, must_answer = self._read(may_block=False)
        except WouldBlock:
            self._read_in_thread()
            return
        if must_answer or size >= request.min_bytes or request.max_wait_ms <= 0:
            self._reply(rows)
            return
        self._slot = self._line.defer()
        partitions = [p for p in map(self._partition_of, context.partitions) if p is not None]
        waiting = DelayedFetch(
            partitions,
            max(1, request.min_bytes - size),
            request.max_wait_ms,
            self._finish,
            is_stable=self._up_to is ReadUpTo.LAST_STABLE_OFFSET,
        )
        self._slot.on_closed = waiting.cancel

    def _partition_of(self, entry: FetchedBefore) -> Partition | None:
        return self._services.partitions.by_wire(entry.topic, entry.wanted.partition)

    def _finish(self) -> None:
        """Enough bytes came, or the time is up."""
        try:
            rows, _, _ = self._read(may_block=False)
        except WouldBlock:
            self._read_in_thread()
            return
        self._reply(rows)

    def _read_in_thread(self) -> None:
        if self._slot is None:
            self._slot = self._line.defer()
        future = asyncio.get_running_loop().run_in_executor(self._services.executor, lambda: self._read(may_block=True))
        future.add_done_callback(lambda done: self._reply(done.result()[0]))

    def _read(self, *, may_block: bool) -> tuple[list[FetchedPartition], int, bool]:
        """(a row for each partition of the context, bytes of records, whether something must be told at once).

        Raises: WouldBlock.
        """
        services, context = self._services, self._context
        left = services.memory.fetch_bytes(min(self._request.max_bytes, services.config.fetch_max_bytes))
        total, must_answer = 0, not context.partitions
        rows = []
        for entry in context.partitions:
            partition = services.partitions.by_wire(entry.topic, entry.wanted.partition)
            row = self._read_partition(partition, entry.wanted, left, total == 0, may_block)
            if partition is not None:
                partition.fetch_requests += 1
                partition.fetch_failures += row.error_code != 0
            size = len(row.records)
            total += size
            left = max(0, left - size)
            must_answer = must_answer or row.error_code != 0 or row.diverging is not None
            rows.append(row)
        return rows, total, must_answer

    def _read_partition(
        self, partition: Partition | None, wanted: FetchPartition, left: int, is_first: bool, may_block: bool
    ) -> FetchedPartition:
        """At most `left` bytes; the first partition that has any gives at least one batch, however large (KIP-74)."""
        if partition is None:
            unknown = (
                ErrorCode.UNKNOWN_TOPIC_ID if self._version >= TOPIC_IDS_FROM else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            )
            return FetchedPartition(wanted.partition, unknown, -1, -1, -1, b"")
        refused = self._refuse_reader(partition, wanted)
        if refused is not ErrorCode.NONE:
            return FetchedPartition(wanted.partition, refused, -1, -1, -1, b"")
        limit = min(wanted.max_bytes, left)
        try:
            if limit > 0 or is_first:
                outcome = partition.read(
                    wanted.fetch_offset,
                    limit,
                    up_to=self._up_to,
                    may_block=may_block,
                    last_fetched_epoch=wanted.last_fetched_epoch,
                )
            else:
                # With nothing left the partition still reports its watermarks, as in Kafka.
                outcome = partition.read(partition.log_end_offset, 0, up_to=self._up_to, may_block=may_block)
        except StorageError as error:
            return FetchedPartition(wanted.partition, error_code_of(error), -1, -1, -1, b"")
        data = outcome.data
        if not is_first and len(data) > limit:
            data = b""  # its first batch is too large for what is left; it comes first another time
        return FetchedPartition(
            wanted.partition,
            outcome.error,
            outcome.high_watermark,
            outcome.last_stable_offset,
            outcome.log_start_offset,
            data,
            outcome.aborted if self._up_to is ReadUpTo.LAST_STABLE_OFFSET else None,
            outcome.diverging,
        )

    def _refuse_reader(self, partition: Partition, wanted: FetchPartition) -> ErrorCode:
        epoch = wanted.current_leader_epoch
        if epoch >= 0 and epoch != partition.leader_epoch:
            stale = epoch < partition.leader_epoch
            return ErrorCode.FENCED_LEADER_EPOCH if stale else ErrorCode.UNKNOWN_LEADER_EPOCH
        replica = self._request.replica_id
        if replica >= 0 and replica not in partition.replicas:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        return ErrorCode.NONE

    def _reply(self, rows: Sequence[FetchedPartition]) -> None:
        """Incremental answers hold what is new; all of them note what the client then knows."""
        context, session = self._context, self._context.session
        topics: list[FetchedTopic] = []
        told: list[FetchedPartition] = []
        last_topic: bytes | None = None
        for entry, row in zip(context.partitions, rows, strict=True):
            if session is not None:
                has_records = len(row.records) > 0
                news = entry.has_news(row.error_code, has_records, row.high_watermark, row.log_start_offset)
                if has_records:
                    session.read_last(entry)
                if context.is_incremental and not news and row.diverging is None:
                    continue
            if entry.topic != last_topic:
                last_topic, told = entry.topic, []
                topics.append(FetchedTopic(last_topic, told))
            told.append(row)
        self._send(ErrorCode.NONE, topics)

    def _send(self, error: ErrorCode, topics: Sequence[FetchedTopic]) -> None:
        buffers = encode_response(self._correlation_id, self._version, error, self._context.session_id, topics)
        if self._slot is None:
            self._line.send(buffers)
        else:
            self._slot.complete(buffers)
        elapsed_ms = (asyncio.get_running_loop().time() - self._started) * 1000
        self._services.counters.of(ApiKey.FETCH).record(elapsed_ms)
