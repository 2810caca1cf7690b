"""The fast lane of a connection for Produce requests that repeat: a run of them is one append and one reply.

A lane is made when a request of a shape was answered without error (`handlers.produce`). Whatever is not plain about a request
sends it to the same `Partition.append` that every other request goes through; the lane never decides about records.
"""

from __future__ import annotations

import asyncio

from mainstem.broker.error_map import error_code_of
from mainstem.broker.reply import ReplyLine
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.runtime.partition import Partition
from mainstem.runtime.partition_outcomes import AppendOutcome
from mainstem.wire.apis import ApiKey
from mainstem.wire.hot_produce import PartitionResult, TopicResult, encode_response
from mainstem.wire.hot_produce_shape import ProduceShape, Run

ACKS_ALL = -1


class ProduceLane:
    """One per connection and shape of request (its topic, version, acks)."""

    __slots__ = ("_counters", "_find", "_loop", "_shape")

    def __init__(self, shape: ProduceShape, services: Services) -> None:
        self._shape = shape
        self._find = services.partitions.wire_lookup
        self._counters = services.counters.of(ApiKey.PRODUCE)
        self._loop = asyncio.get_running_loop()

    def take(self, line: ReplyLine, buffer: bytearray, view: memoryview, position: int, end: int) -> int:
        """Answer the run of requests that begins at `position`; returns where it ends, `position` if there is none."""
        shape = self._shape
        run = shape.scan(buffer, view, position, end)
        if run is None:
            return position
        partition = self._find((shape.topic, run.partition))
        if partition is None or (
            shape.acks == ACKS_ALL and partition.in_sync_replicas < partition.config.min_insync_replicas
        ):
            return position
        count = len(run.records)
        partition.produce_requests += count
        done = self._append(line, partition, run, 0)
        while done < count:
            done += self._append(line, partition, run, done)
        return run.end

    def _append(self, line: ReplyLine, partition: Partition, run: Run, done: int) -> int:
        """Append what is plain from `done` on, or one batch that is not; returns how many requests that answers."""
        rest = run.records[done:] if done else run.records
        try:
            base_offsets = partition.append_run(rest)
            log_start_offset = partition.log_start_offset
        except StorageError as error:
            refused = AppendOutcome(error_code_of(error), message=str(error))
            for correlation_id in run.correlation_ids[done:]:
                self._answer_one(line, partition, run.partition, correlation_id, refused, -1)
            return len(rest)
        count = len(base_offsets)
        if not count:
            return self._append_one(line, partition, run, done)
        acks = self._shape.acks
        correlation_ids = run.correlation_ids
        if count < len(correlation_ids):
            correlation_ids = correlation_ids[done : done + count]
        if acks == ACKS_ALL:
            delayed = _DelayedRun(
                line, self._shape, run.partition, correlation_ids, base_offsets, log_start_offset, self
            )
            partition.when_committed(partition.log_end_offset - 1, delayed.committed)
            return count
        if acks:
            line.send_one(self._shape.pack_replies(run.partition, correlation_ids, base_offsets, log_start_offset))
        self._counters.record_at_once(count)
        return count

    def _append_one(self, line: ReplyLine, partition: Partition, run: Run, done: int) -> int:
        try:
            outcome = partition.append(run.records[done])
            log_start_offset = partition.log_start_offset
        except StorageError as error:
            outcome, log_start_offset = AppendOutcome(error_code_of(error), message=str(error)), -1
        self._answer_one(line, partition, run.partition, run.correlation_ids[done], outcome, log_start_offset)
        return 1

    def _answer_one(
        self,
        line: ReplyLine,
        partition: Partition,
        index: int,
        correlation_id: int,
        outcome: AppendOutcome,
        log_start_offset: int,
    ) -> None:
        shape = self._shape
        failed = outcome.error is not ErrorCode.NONE
        partition.produce_failures += failed
        if shape.acks == 0:
            self._counters.record_at_once(1)
            if failed:
                line.abort(f"produce with acks=0 failed: {outcome.error.name}")
            return
        result = (
            PartitionResult(index, outcome.error, -1, -1, -1, outcome.message, outcome.record_errors)
            if failed
            else PartitionResult(index, 0, outcome.base_offset, outcome.log_append_time_ms, log_start_offset)
        )
        reply = encode_response(correlation_id, shape.version, [TopicResult(shape.topic, [result])])
        if failed or shape.acks != ACKS_ALL:
            line.send((reply,))
            self._counters.record_at_once(1)
            return
        slot, started = line.defer(), self._loop.time()

        def committed(error: ErrorCode) -> None:
            refused = [TopicResult(shape.topic, [PartitionResult(index, error, -1, -1, -1)])]
            slot.complete((encode_response(correlation_id, shape.version, refused) if error else reply,))
            self.record(1, started)

        partition.when_committed(outcome.last_offset, committed)

    def now(self) -> float:
        return self._loop.time()

    def record(self, count: int, started: float) -> None:
        self._counters.record((self._loop.time() - started) * 1000, count)


class _DelayedRun:
    """An acks=all run whose records are not durable yet: all of them are covered by the same sync, and answered in one write."""

    __slots__ = (
        "_base_offsets",
        "_correlation_ids",
        "_lane",
        "_log_start_offset",
        "_partition",
        "_shape",
        "_slot",
        "_started",
    )

    def __init__(
        self,
        line: ReplyLine,
        shape: ProduceShape,
        partition: int,
        correlation_ids: list[int],
        base_offsets: list[int],
        log_start_offset: int,
        lane: ProduceLane,
    ) -> None:
        self._slot = line.defer()
        self._shape = shape
        self._partition = partition
        self._correlation_ids = correlation_ids
        self._base_offsets = base_offsets
        self._log_start_offset = log_start_offset
        self._lane = lane
        self._started = lane.now()

    def committed(self, error: ErrorCode) -> None:
        shape = self._shape
        if error is ErrorCode.NONE:
            reply: bytes | bytearray = shape.pack_replies(
                self._partition, self._correlation_ids, self._base_offsets, self._log_start_offset
            )
        else:
            refused = [TopicResult(shape.topic, [PartitionResult(self._partition, error, -1, -1, -1)])]
            reply = b"".join(encode_response(c, shape.version, refused) for c in self._correlation_ids)
        self._slot.complete((reply,))
        self._lane.record(len(self._correlation_ids), self._started)
