"""Fetch, v4–18. v9: leader epochs are checked. v13: topic ids (KIP-516).

Not done: sessions (KIP-227; every answer has session id 0, so clients send full requests), follower reads, KIP-392 rack reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from mainstem.api.files import WouldBlock
from mainstem.broker.context import RequestContext
from mainstem.broker.error_map import error_code_of
from mainstem.broker.reply import ReplyLine, ReplySlot
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.runtime.partition import Partition
from mainstem.runtime.purgatory import DelayedFetch
from mainstem.wire.apis import ApiKey
from mainstem.wire.hot_fetch import (
    TOPIC_IDS_FROM,
    FetchedPartition,
    FetchedTopic,
    FetchPartition,
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

    __slots__ = ("_correlation_id", "_line", "_request", "_services", "_slot", "_started", "_version")

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

    def start(self) -> None:
        request = self._request
        if request.session_id != 0:
            self._reply([], ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
            return
        try:
            topics, size, must_answer = self._read(may_block=False)
        except WouldBlock:
            self._read_in_thread()
            return
        if must_answer or size >= request.min_bytes or request.max_wait_ms <= 0:
            self._reply(topics)
            return
        self._slot = self._line.defer()
        partitions = self._partitions()
        waiting = DelayedFetch(partitions, max(1, request.min_bytes - size), request.max_wait_ms, self._finish)
        self._slot.on_closed = waiting.cancel

    def _partitions(self) -> list[Partition]:
        found = (
            self._services.partitions.by_wire(topic, p.partition) for topic, ps in self._request.topics for p in ps
        )
        return [p for p in found if p is not None]

    def _finish(self) -> None:
        """Enough bytes came, or the time is up."""
        try:
            topics, _, _ = self._read(may_block=False)
        except WouldBlock:
            self._read_in_thread()
            return
        self._reply(topics)

    def _read_in_thread(self) -> None:
        if self._slot is None:
            self._slot = self._line.defer()
        executor: Executor = self._services.executor
        future = asyncio.get_running_loop().run_in_executor(executor, lambda: self._read(may_block=True))
        future.add_done_callback(lambda done: self._reply(done.result()[0]))

    def _reply(self, topics: Sequence[FetchedTopic], error: ErrorCode = ErrorCode.NONE) -> None:
        buffers = encode_response(self._correlation_id, self._version, error, 0, topics)
        if self._slot is None:
            self._line.send(buffers)
        else:
            self._slot.complete(buffers)
        elapsed_ms = (asyncio.get_running_loop().time() - self._started) * 1000
        self._services.counters.of(ApiKey.FETCH).record(elapsed_ms)

    def _read(self, *, may_block: bool) -> tuple[list[FetchedTopic], int, bool]:
        """(answer, bytes of records, whether something must be told at once). Raises: WouldBlock."""
        request = self._request
        left = min(request.max_bytes, self._services.config.fetch_max_bytes)
        total, must_answer = 0, not request.topics
        topics = []
        for topic, partitions in request.topics:
            rows = []
            for wanted in partitions:
                row = self._read_counted(topic, wanted, left, may_block)
                total += len(row.records)
                left -= len(row.records)
                must_answer = must_answer or row.error_code != 0
                rows.append(row)
            topics.append(FetchedTopic(topic, rows))
        return topics, total, must_answer

    def _read_counted(self, topic: bytes, wanted: FetchPartition, left: int, may_block: bool) -> FetchedPartition:
        partition = self._services.partitions.by_wire(topic, wanted.partition)
        row = self._read_partition(partition, wanted, left, may_block)
        if partition is not None:
            partition.fetch_requests += 1
            partition.fetch_failures += row.error_code != 0
        return row

    def _read_partition(
        self, partition: Partition | None, wanted: FetchPartition, left: int, may_block: bool
    ) -> FetchedPartition:
        if partition is None:
            unknown = (
                ErrorCode.UNKNOWN_TOPIC_ID if self._version >= TOPIC_IDS_FROM else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            )
            return FetchedPartition(wanted.partition, unknown, -1, -1, -1, b"")
        epoch = wanted.current_leader_epoch
        if epoch >= 0 and epoch != partition.leader_epoch:
            stale = epoch < partition.leader_epoch
            code = ErrorCode.FENCED_LEADER_EPOCH if stale else ErrorCode.UNKNOWN_LEADER_EPOCH
            return FetchedPartition(wanted.partition, code, -1, -1, -1, b"")
        read_committed = self._request.isolation_level == READ_COMMITTED
        try:
            # With nothing left the partition still reports its watermarks, as in Kafka.
            offset = wanted.fetch_offset if left > 0 else partition.high_watermark
            outcome = partition.read(
                offset, min(wanted.max_bytes, left), read_committed=read_committed, may_block=may_block
            )
        except StorageError as error:
            return FetchedPartition(wanted.partition, error_code_of(error), -1, -1, -1, b"")
        return FetchedPartition(
            wanted.partition,
            outcome.error,
            outcome.high_watermark,
            outcome.last_stable_offset,
            outcome.log_start_offset,
            outcome.data,
            [(a.producer_id, a.first_offset) for a in outcome.aborted] if read_committed else None,
        )
