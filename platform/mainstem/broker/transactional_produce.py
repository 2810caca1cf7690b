"""Produce requests of transactional producers: a batch is appended once its log has it that the transaction's coordinator knows.

Most batches follow another one of their transaction, then the log itself says so and nothing is asked.
Source: KIP-98, KIP-890; Kafka's `ReplicaManager.handleProduceAppend`, 4.1.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

from mainstem.broker.produce_lane import ACKS_ALL
from mainstem.broker.produce_request import DelayedProduce, Waits, append_batch, refuse_all
from mainstem.broker.reply import ReplyLine
from mainstem.broker.services import Services
from mainstem.core.log.verification import Admission
from mainstem.model.batch import HEADER_BYTES, BatchHeader, read_header
from mainstem.model.errors import ErrorCode
from mainstem.model.topic import INTERNAL_TOPICS
from mainstem.runtime.partition import Partition
from mainstem.runtime.transaction_verification import Writer, told_to_producer
from mainstem.wire.apis import ApiKey
from mainstem.wire.hot_produce import PartitionResult, ProduceRequest, TopicResult, encode_response

ADDS_FROM = 12


class _Batch(NamedTuple):
    """One partition of the request; `header` is None where its records are of no transaction."""

    topic: bytes
    partition_index: int
    records: memoryview | None
    partition: Partition | None
    header: BatchHeader | None


def handle_transactional(
    line: ReplyLine, services: Services, version: int, request: ProduceRequest, correlation_id: int
) -> None:
    """The frame is valid until this returns: records that have to wait are copied."""
    assert request.transactional_id is not None, "only requests of transactional producers come here"
    batches = [
        _look_at(services, topic, index, records)
        for topic, partitions in request.topics
        for index, records in partitions
    ]
    write = _TransactionalWrite(line, services, version, request.acks, correlation_id, batches)
    refusal = refuse_all(version, request.acks)
    writers = {(b.header.producer_id, b.header.producer_epoch) for b in batches if b.header is not None}
    if refusal is None and len(writers) > 1:
        refusal = ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if refusal is not None:
        write.refuse(refusal)
        return
    if not writers:
        write.append([])
        return
    ((producer_id, epoch),) = writers
    writer = Writer(request.transactional_id, producer_id, epoch, adds=version >= ADDS_FROM)
    services.transaction_verifier.admit(writer, write.logs(), write.append)
    write.keep_records()


def _look_at(services: Services, topic: bytes, index: int, records: memoryview | None) -> _Batch:
    partition = services.partitions.by_wire(topic, index)
    header = None
    is_internal = partition is not None and partition.topic_partition.topic in INTERNAL_TOPICS
    if partition is not None and not is_internal and records is not None and len(records) >= HEADER_BYTES:
        header = read_header(records)
        if not header.is_transactional or header.producer_id < 0:
            header = None
    return _Batch(topic, index, records, partition, header)


class _TransactionalWrite:
    """A request on its way: admitted, appended, committed, answered. Its place in the line is taken as soon as it has to wait."""

    def __init__(
        self,
        line: ReplyLine,
        services: Services,
        version: int,
        acks: int,
        correlation_id: int,
        batches: list[_Batch],
    ) -> None:
        self._slot = line.defer()
        self._line = line
        self._services = services
        self._version = version
        self._acks = acks
        self._correlation_id = correlation_id
        self._batches = batches
        self._started = asyncio.get_running_loop().time()
        self._is_over = self._is_holding = False

    def logs(self) -> list[tuple[Partition, int]]:
        """Those that take records of a transaction, with the sequence of their batch."""
        return [(b.partition, b.header.base_sequence) for b in self._batches if b.header and b.partition]

    def keep_records(self) -> None:
        """The frame will be gone when the coordinator has answered, unless it has answered already.

        The connection waits with it, so that a client cannot make us keep more than one.
        """
        if not self._is_over:
            self._line.hold()
            self._is_holding = True
            self._batches = [
                b if b.records is None else b._replace(records=memoryview(bytearray(b.records))) for b in self._batches
            ]

    def refuse(self, error: ErrorCode) -> None:
        self._answer([PartitionResult(batch.partition_index, error, -1, -1, -1) for batch in self._batches], [])

    def append(self, answers: list[Admission | ErrorCode]) -> None:
        """`answers` are of the logs in `logs`, in their order."""
        self._is_over = True
        waits: Waits = []
        answer_of = iter(answers)
        rows = [self._append_one(batch, next(answer_of) if batch.header else None, waits) for batch in self._batches]
        self._answer(rows, waits)
        if self._is_holding:
            self._line.release()

    def _append_one(self, batch: _Batch, answer: Admission | ErrorCode | None, waits: Waits) -> PartitionResult:
        if isinstance(answer, ErrorCode):
            assert batch.partition is not None, "only partitions that are here were asked about"
            batch.partition.produce_requests += 1
            batch.partition.produce_failures += 1
            error = told_to_producer(answer, self._version)
            message = "the coordinator did not agree that the partition is part of the transaction"
            return PartitionResult(batch.partition_index, error, -1, -1, -1, message)
        return append_batch(
            self._services, self._acks, self._version, batch.topic, batch.partition_index, batch.records, waits, answer
        )

    def _answer(self, rows: list[PartitionResult], waits: Waits) -> None:
        topics: dict[bytes, list[PartitionResult]] = {}
        for batch, row in zip(self._batches, rows, strict=True):
            topics.setdefault(batch.topic, []).append(row)
        results = [TopicResult(topic, found) for topic, found in topics.items()]
        record = self._services.counters.of(ApiKey.PRODUCE).record
        pending = [(p, offset) for p, offset in waits if offset >= p.high_watermark]
        if self._acks == ACKS_ALL and pending:
            delayed = DelayedProduce(
                self._slot, self._correlation_id, self._version, results, len(pending), self._started, record
            )
            for partition, offset in pending:
                partition.when_committed(offset, partial(delayed.committed, partition))
            return
        record((asyncio.get_running_loop().time() - self._started) * 1000)
        if self._acks:
            self._slot.complete((encode_response(self._correlation_id, self._version, results),))
            return
        self._slot.complete(())
        failed = next((row.error_code for row in rows if row.error_code), 0)
        if failed:
            self._line.abort(f"produce with acks=0 failed: {ErrorCode(failed).name}")
