"""What answering a Produce request takes, whether its records belong to a transaction or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from mainstem.broker.error_map import error_code_of
from mainstem.broker.produce_lane import ACKS_ALL
from mainstem.broker.reply import ReplySlot
from mainstem.broker.services import Services
from mainstem.core.log.verification import Admission
from mainstem.model.batch import HEADER_BYTES, ZSTD, read_header
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.topic import INTERNAL_TOPICS
from mainstem.runtime.partition import Partition
from mainstem.wire.hot_produce import OLDEST_SERVED, TOPIC_IDS_FROM, PartitionResult, TopicResult, encode_response

ZSTD_FROM = 7
_NO_RECORDS = memoryview(b"")
_now = asyncio.get_running_loop

Waits = list[tuple[Partition, int]]
"""Partitions and the offsets that must be committed before an acks=all request is answered."""


def refuse_all(version: int, acks: int) -> ErrorCode | None:
    """Why nothing of a request is taken, None if there is no reason."""
    if version < OLDEST_SERVED:
        return ErrorCode.UNSUPPORTED_VERSION
    if acks not in (ACKS_ALL, 0, 1):
        return ErrorCode.INVALID_REQUIRED_ACKS
    return None


def append_batch(
    services: Services,
    acks: int,
    version: int,
    topic: bytes,
    index: int,
    records: memoryview | None,
    waits: Waits,
    admission: Admission | None = None,
) -> PartitionResult:
    """One partition of a request; what must still be committed is added to `waits`. `admission` of a transaction's batch."""
    partition = services.partitions.by_wire(topic, index)
    if partition is None:
        error = ErrorCode.UNKNOWN_TOPIC_ID if version >= TOPIC_IDS_FROM else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return PartitionResult(index, error, -1, -1, -1)
    partition.produce_requests += 1
    result = _append_here(partition, acks, version, topic, index, records, waits, admission)
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
    waits: Waits,
    admission: Admission | None,
) -> PartitionResult:
    if partition.topic_partition.topic in INTERNAL_TOPICS:
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
        outcome = partition.append(records, admission=admission)
        start = partition.log_start_offset
    except StorageError as error:
        return PartitionResult(index, error_code_of(error), -1, -1, -1, str(error))
    if outcome.error is ErrorCode.NONE:
        waits.append((partition, outcome.last_offset))
        return PartitionResult(index, 0, outcome.base_offset, outcome.log_append_time_ms, start)
    return PartitionResult(index, outcome.error, -1, -1, -1, outcome.message, outcome.record_errors)


class DelayedProduce:
    """An acks=all request whose records are not durable yet; answered when the last of its partitions is, or has failed."""

    __slots__ = ("_correlation_id", "_missing", "_record", "_results", "_slot", "_started", "_version")

    def __init__(
        self,
        slot: ReplySlot,
        correlation_id: int,
        version: int,
        results: list[TopicResult],
        missing: int,
        started: float,
        record: Callable[[float], None],
    ) -> None:
        self._slot = slot
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
