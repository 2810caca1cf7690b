"""Produce, v0–13. v0–2 are refused per partition (advertised for old librdkafka, KAFKA-18659). v13: topic ids (KIP-516).

Not done: transactions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from mainstem.broker.context import RequestContext
from mainstem.broker.error_map import error_code_of
from mainstem.broker.produce_lane import ACKS_ALL, ProduceLane
from mainstem.broker.reply import ReplyLine
from mainstem.broker.services import Services
from mainstem.model.batch import HEADER_BYTES, ZSTD, read_header
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.topic import INTERNAL_TOPICS
from mainstem.runtime.partition import Partition
from mainstem.wire.apis import ApiKey
from mainstem.wire.hot_produce import (
    OLDEST_SERVED,
    TOPIC_IDS_FROM,
    PartitionResult,
    TopicResult,
    decode_request,
    encode_response,
)
from mainstem.wire.hot_produce_shape import learn

ZSTD_FROM = 7
_NO_RECORDS = memoryview(b"")
_INTERNAL = frozenset(name.encode() for name in INTERNAL_TOPICS)
_now = asyncio.get_running_loop


def handle_frame(
    line: ReplyLine, context: RequestContext, services: Services, frame: memoryview, body: int, correlation_id: int
) -> None:
    """The frame is valid until this returns; the records are appended by then. Raises: MalformedMessage."""
    version = context.api_version
    request = decode_request(frame, body, version)
    started = _now().time()
    refusal = _refuse_all(version, request.acks, request.transactional_id)
    results: list[TopicResult] = []
    waits: list[tuple[Partition, int]] = []
    for topic, partitions in request.topics:
        rows: list[PartitionResult] = []
        for index, records in partitions:
            if refusal is not None:
                rows.append(PartitionResult(index, refusal, -1, -1, -1))
            else:
                rows.append(_append(services, request.acks, version, topic, index, records, waits))
        results.append(TopicResult(topic, rows))
    if (
        refusal is None
        and version >= ZSTD_FROM
        and len(results) == 1
        and len(results[0].partitions) == 1
        and not results[0].partitions[0].error_code
    ):
        shape = learn(frame, version, request)
        if shape is not None:
            line.add_lane(ProduceLane(shape, services))
    counters = services.counters.of(ApiKey.PRODUCE)
    if request.acks == ACKS_ALL and waits:
        pending = [(p, offset) for p, offset in waits if offset >= p.high_watermark]
        if pending:
            delayed = _DelayedProduce(line, correlation_id, version, results, len(pending), started, counters.record)
            for partition, offset in pending:
                partition.when_committed(offset, partial(delayed.committed, partition))
            return
    counters.record((_now().time() - started) * 1000)
    if request.acks == 0:
        # A client that asked for no reply learns of a failure by losing its connection, as with Kafka.
        failed = next((r.error_code for t in results for r in t.partitions if r.error_code), 0)
        if failed:
            line.abort(f"produce with acks=0 failed: {ErrorCode(failed).name}")
        return
    line.send((encode_response(correlation_id, version, results),))


def _refuse_all(version: int, acks: int, transactional_id: str | None) -> ErrorCode | None:
    if version < OLDEST_SERVED:
        return ErrorCode.UNSUPPORTED_VERSION
    if acks not in (ACKS_ALL, 0, 1):
        return ErrorCode.INVALID_REQUIRED_ACKS
    if transactional_id is not None:
        return ErrorCode.INVALID_TXN_STATE
    return None


def _append(
    services: Services,
    acks: int,
    version: int,
    topic: bytes,
    index: int,
    records: memoryview | None,
    waits: list[tuple[Partition, int]],
) -> PartitionResult:
    partition = services.partitions.by_wire(topic, index)
    if partition is None:
        error = ErrorCode.UNKNOWN_TOPIC_ID if version >= TOPIC_IDS_FROM else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return PartitionResult(index, error, -1, -1, -1)
    partition.produce_requests += 1
    result = _append_here(partition, acks, version, topic, index, records, waits)
    if result.error_code:
        partition.produce_failures += 1
    return result


def _append_here(
    partition: Partition,
    acks: int,
    version: int,
    topic: bytes,
    index: int,
    records: memoryview | None,
    waits: list[tuple[Partition, int]],
) -> PartitionResult:
    if topic in _INTERNAL:
        return PartitionResult(index, ErrorCode.INVALID_TOPIC_EXCEPTION, -1, -1, -1, "the topic is internal")
    if acks == ACKS_ALL and partition.in_sync_replicas < partition.config.min_insync_replicas:
        return PartitionResult(index, ErrorCode.NOT_ENOUGH_REPLICAS, -1, -1, -1)
    if records is None:
        records = _NO_RECORDS
    elif version < ZSTD_FROM and len(records) >= HEADER_BYTES and read_header(records).codec == ZSTD:
        message = f"zstd needs Produce v{ZSTD_FROM} or later"
        return PartitionResult(index, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, -1, -1, -1, message)
    try:
        plain = partition.append_run((records,))
        start = partition.log_start_offset
        if plain:
            waits.append((partition, partition.log_end_offset - 1))
            return PartitionResult(index, 0, plain[0], -1, start)
        outcome = partition.append(records)
        start = partition.log_start_offset
    except StorageError as error:
        return PartitionResult(index, error_code_of(error), -1, -1, -1, str(error))
    if outcome.error is ErrorCode.NONE:
        waits.append((partition, outcome.last_offset))
        return PartitionResult(index, 0, outcome.base_offset, outcome.log_append_time_ms, start)
    return PartitionResult(index, outcome.error, -1, -1, -1, outcome.message, outcome.record_errors)


class _DelayedProduce:
    """An acks=all request whose records are not durable yet; answered when the last of its partitions is, or has failed."""

    __slots__ = ("_correlation_id", "_missing", "_record", "_results", "_slot", "_started", "_version")

    def __init__(
        self,
        line: ReplyLine,
        correlation_id: int,
        version: int,
        results: list[TopicResult],
        missing: int,
        started: float,
        record: Callable[[float], None],
    ) -> None:
        self._slot = line.defer()
        self._correlation_id = correlation_id
        self._version = version
        self._results: Sequence[TopicResult] = results
        self._missing = missing
        self._started = started
        self._record = record

    def committed(self, partition: Partition, error: ErrorCode) -> None:
        if error is not ErrorCode.NONE:
            self._fail(partition, error)
        self._missing -= 1
        if self._missing == 0:
            self._slot.complete((encode_response(self._correlation_id, self._version, self._results),))
            self._record((_now().time() - self._started) * 1000)

    def _fail(self, partition: Partition, error: ErrorCode) -> None:
        names = (partition.topic_partition.topic.encode(), partition.topic_id)
        self._results = [
            TopicResult(
                topic,
                [
                    PartitionResult(r.partition, error, -1, -1, -1)
                    if topic in names and r.partition == partition.topic_partition.partition
                    else r
                    for r in rows
                ],
            )
            for topic, rows in self._results
        ]
