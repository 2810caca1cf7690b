"""What can be asked of a shard of transactional ids. Every command can say how it is refused as a whole (`refused`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from mainstem.core.txn.records import TransactionState
from mainstem.core.txn.results import DescribeResult, ListResult, PartitionsResult, ProducerResult
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition


class ProducerIdAndEpoch(NamedTuple):
    producer_id: int
    producer_epoch: int


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`token` comes back in the reply; None where nobody waits (timers)."""

    token: Any = None

    def refused(self, error: ErrorCode) -> Any:
        """The result that says `error` and nothing else."""
        raise AssertionError(f"{type(self).__name__} does not say how it is refused")


class InitProducerId(Command, frozen=True, kw_only=True):
    """`expected` is what the producer believes to be (KIP-360), None for a new one. `spare_producer_id` is used if need be."""

    transactional_id: str
    timeout_ms: int
    expected: ProducerIdAndEpoch | None = None
    spare_producer_id: int | None = None

    def refused(self, error: ErrorCode) -> ProducerResult:
        return ProducerResult(error=error)


class AddPartitions(Command, frozen=True, kw_only=True):
    """`client_version` is 2 for producers with an epoch per transaction, whose partitions brokers add (KIP-890)."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    partitions: tuple[TopicPartition, ...]
    client_version: int = 0

    def refused(self, error: ErrorCode) -> PartitionsResult:
        return PartitionsResult(error=error)


class VerifyPartitions(Command, frozen=True, kw_only=True):
    """Are these in the producer's transaction? Asked by the brokers that lead them."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    partitions: tuple[TopicPartition, ...]

    def refused(self, error: ErrorCode) -> PartitionsResult:
        return PartitionsResult(error=error)


class EndTransaction(Command, frozen=True, kw_only=True):
    """`client_version` as for AddPartitions: 2 from EndTxn 5 on."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    is_commit: bool
    client_version: int = 0
    spare_producer_id: int | None = None

    def refused(self, error: ErrorCode) -> ProducerResult:
        return ProducerResult(error=error)


class CompleteTransaction(Command, frozen=True, kw_only=True):
    """All markers of the transaction that this producer's epoch ended are written and committed."""

    transactional_id: str
    producer_id: int
    producer_epoch: int


class DescribeTransaction(Command, frozen=True, kw_only=True):
    transactional_id: str

    def refused(self, error: ErrorCode) -> DescribeResult:
        return DescribeResult(error=error)


class ListTransactions(Command, frozen=True, kw_only=True):
    """Filters; empty sets, a negative duration and None mean everything. `states` None: only unknown states were asked for."""

    producer_ids: frozenset[int] = frozenset()
    states: frozenset[TransactionState] | None = frozenset()
    duration_ms: int = -1
    pattern: str | None = None

    def refused(self, error: ErrorCode) -> ListResult:
        return ListResult(error=error)


class AbortTimedOut(Command, frozen=True, kw_only=True):
    """Abort transactions that are open for longer than their producers allowed. Comes back by itself."""


class RemoveExpired(Command, frozen=True, kw_only=True):
    """Forget transactional ids that were not used for long. Comes back by itself."""


TransactionCommand = (
    InitProducerId
    | AddPartitions
    | VerifyPartitions
    | EndTransaction
    | CompleteTransaction
    | DescribeTransaction
    | ListTransactions
    | AbortTimedOut
    | RemoveExpired
)


class WriteMarkers(msgspec.Struct, frozen=True, kw_only=True):
    """Effect: end the transaction in the logs of its partitions, then come back with CompleteTransaction."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    is_commit: bool
    partitions: tuple[TopicPartition, ...]
