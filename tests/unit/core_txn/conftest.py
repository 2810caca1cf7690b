"""A shard of transactional ids: commands in, results out, decisions applied at once, markers on demand."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.decision import Decision
from mainstem.core.txn.commands import (
    AddPartitions,
    CompleteTransaction,
    EndTransaction,
    InitProducerId,
    ProducerIdAndEpoch,
    VerifyPartitions,
    WriteMarkers,
)
from mainstem.core.txn.records import TransactionRecord, TransactionState, TransactionStored
from mainstem.core.txn.results import PartitionsResult, ProducerResult
from mainstem.core.txn.settings import TransactionSettings
from mainstem.core.txn.shard import TransactionShard
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

START_MS = 1_700_000_000_000
A, B = TopicPartition("a", 0), TopicPartition("b", 1)
ID = "tx"


class Bench:
    def __init__(self, log: list[TransactionRecord] | None = None, now_ms: int = START_MS) -> None:
        self.settings = TransactionSettings()
        self.shard = TransactionShard(self.settings)
        self.now_ms = now_ms
        self.log: list[TransactionRecord] = list(log or [])
        self.markers: list[WriteMarkers] = []
        self.fresh_ids = 100
        for record in self.log:
            self.shard.apply(record, offset=0)
        self.timers: dict[Any, Any] = {}
        self._carry_out(self.shard.loaded(now_ms))

    def restarted(self) -> Bench:
        """Another coordinator reads the log back. What Kafka's bytes have no place for is gone."""
        from msgspec.structs import replace

        return Bench([replace(r, last_producer_epoch=-1) if isinstance(r, TransactionStored) else r for r in self.log])

    def _carry_out(self, decision: Decision[TransactionRecord]) -> None:
        for record in decision.records:
            self.log.append(record)
            self.shard.apply(record, offset=len(self.log))
        self.markers += decision.effects
        self.timers |= {t.key: t for t in decision.timers}

    def give(self, command: Any) -> Any:
        decision = self.shard.decide(command, self.now_ms)
        self._carry_out(decision)
        if not decision.replies:
            return None
        (reply,) = decision.replies
        return reply.response

    def _with_id(self, command: Any) -> ProducerResult:
        from msgspec.structs import replace

        result: ProducerResult = self.give(command)
        if result.needs_producer_id:
            self.fresh_ids += 1
            result = self.give(replace(command, spare_producer_id=self.fresh_ids))
        return result

    def init(self, expected: tuple[int, int] | None = None, timeout_ms: int = 60_000, id_: str = ID) -> ProducerResult:
        known = None if expected is None else ProducerIdAndEpoch(*expected)
        return self._with_id(InitProducerId(transactional_id=id_, timeout_ms=timeout_ms, expected=known))

    def add(self, producer_id: int, epoch: int, *partitions: TopicPartition, version: int = 2) -> ErrorCode:
        result: PartitionsResult = self.give(
            AddPartitions(
                transactional_id=ID,
                producer_id=producer_id,
                producer_epoch=epoch,
                partitions=partitions or (A,),
                client_version=version,
            )
        )
        return result.error

    def verify(self, producer_id: int, epoch: int, *partitions: TopicPartition) -> PartitionsResult:
        result: PartitionsResult = self.give(
            VerifyPartitions(
                transactional_id=ID, producer_id=producer_id, producer_epoch=epoch, partitions=partitions or (A,)
            )
        )
        return result

    def end(self, producer_id: int, epoch: int, *, commit: bool = True, version: int = 2) -> ProducerResult:
        return self._with_id(
            EndTransaction(
                transactional_id=ID,
                producer_id=producer_id,
                producer_epoch=epoch,
                is_commit=commit,
                client_version=version,
            )
        )

    def write_markers(self) -> WriteMarkers:
        """All markers that were asked for last are written."""
        written = self.markers.pop()
        self.give(
            CompleteTransaction(
                transactional_id=written.transactional_id,
                producer_id=written.producer_id,
                producer_epoch=written.producer_epoch,
            )
        )
        return written

    @property
    def now(self) -> TransactionStored:
        return self.shard.transactions[ID]

    def put(self, **fields: Any) -> TransactionStored:
        """The id is in this state, as if it had been read back."""
        values: dict[str, Any] = {
            "transactional_id": ID,
            "producer_id": 1,
            "producer_epoch": 5,
            "timeout_ms": 60_000,
            "state": TransactionState.EMPTY,
            "updated_at_ms": self.now_ms,
            "previous_producer_id": 1,
        }
        stored = TransactionStored(**(values | fields))
        self.log.append(stored)
        self.shard.apply(stored, offset=len(self.log))
        return stored


@pytest.fixture
def bench() -> Bench:
    return Bench()
