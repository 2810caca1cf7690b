"""What a transaction coordinator persists, as values. `wire.stored` turns them into Kafka's bytes and back.

Times in ms since 1970.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from mainstem.model.ids import NO_PRODUCER_ID, TopicPartition

NO_EPOCH = -1
EPOCH_MAX = 2**15 - 1
NO_TIME = -1
UNLIMITED_MS = 2**31 - 1
"""The timeout of transactions that only their producers may end (KIP-939)."""
EPOCH_BUMP_VERSION = 2
"""The level of `transaction.version` from which every transaction has an epoch of its own (KIP-890)."""


class TransactionState(IntEnum):
    """Numbers are those of the log. Source: Kafka's `TransactionState`, 4.1.

    PREPARE_EPOCH_FENCE and DEAD are never written: fencing goes on to PREPARE_ABORT in the same step, and what expires is removed.
    """

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7

    @property
    def label(self) -> str:
        """As DescribeTransactions and ListTransactions show it."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def is_completing(self) -> bool:
        """Decided, and markers are still to be written."""
        return self in (TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT)

    @property
    def may_expire(self) -> bool:
        return self in (TransactionState.EMPTY, TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT)


STATE_BY_LABEL = {state.label: state for state in TransactionState}


class TransactionStored(msgspec.Struct, frozen=True, kw_only=True):
    """A transactional id and its latest transaction. `started_at_ms` is -1 outside one.

    `next_producer_id` takes over when the transaction is complete, because the epochs of `producer_id` are used up.
    `last_producer_epoch` is not in Kafka's bytes: after a replay it is -1. `client_version` is 2 where the client bumps epochs.
    """

    transactional_id: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    state: TransactionState
    updated_at_ms: int
    started_at_ms: int = NO_TIME
    partitions: tuple[TopicPartition, ...] = ()
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    last_producer_epoch: int = NO_EPOCH
    client_version: int = 0

    @property
    def is_epoch_exhausted(self) -> bool:
        """The last epoch is kept back, so that the coordinator can always fence."""
        return is_exhausted(self.producer_epoch)


class TransactionRemoved(msgspec.Struct, frozen=True, kw_only=True):
    transactional_id: str


TransactionRecord = TransactionStored | TransactionRemoved


def is_exhausted(epoch: int) -> bool:
    return epoch >= EPOCH_MAX - 1
