"""Every step that a transaction may take, as the record that is written for it. Pure: what is now, and what comes next.

                  AddPartitions               EndTxn                    markers written
    Empty ────────────────────────> Ongoing ──────────> PrepareCommit ─────────────────> CompleteCommit
      ▲                               ▲ │                                                     │
      │                               │ └─ EndTxn, timeout, ─> PrepareAbort ──> CompleteAbort │
      │                               │    a newer producer         ▲                 │       │
      │                               └─────────────────────────────┼── AddPartitions ┴───────┤
      └── InitProducerId ── from Empty and Complete*                └── EndTxn (abort), v2 ───┘ and from Empty

Source: Kafka's `TransactionMetadata`, 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mainstem.core.txn.records import (
    EPOCH_BUMP_VERSION,
    NO_EPOCH,
    NO_TIME,
    TransactionState,
    TransactionStored,
)
from mainstem.model.ids import NO_PRODUCER_ID, TopicPartition


def created(transactional_id: str, producer_id: int, timeout_ms: int, now_ms: int) -> TransactionStored:
    """The first producer of a transactional id."""
    return TransactionStored(
        transactional_id=transactional_id,
        producer_id=producer_id,
        producer_epoch=0,
        timeout_ms=timeout_ms,
        state=TransactionState.EMPTY,
        updated_at_ms=now_ms,
        previous_producer_id=producer_id,
    )


def taken_over(
    now: TransactionStored, producer_epoch: int, last_producer_epoch: int, timeout_ms: int, now_ms: int
) -> TransactionStored:
    """A producer starts, or starts again, with an epoch that fences those before it."""
    return replace(
        now,
        producer_epoch=producer_epoch,
        last_producer_epoch=last_producer_epoch,
        **_emptied(now, timeout_ms, now_ms),
    )


def rotated(
    now: TransactionStored, producer_id: int, timeout_ms: int, now_ms: int, *, keeps_last_epoch: bool
) -> TransactionStored:
    """The epochs of the producer id are used up: a fresh one, from epoch 0."""
    return replace(
        now,
        producer_id=producer_id,
        producer_epoch=0,
        last_producer_epoch=now.producer_epoch if keeps_last_epoch else NO_EPOCH,
        **_emptied(now, timeout_ms, now_ms),
    )


def _emptied(now: TransactionStored, timeout_ms: int, now_ms: int) -> dict[str, object]:
    return {
        "state": TransactionState.EMPTY,
        "previous_producer_id": now.producer_id,
        "timeout_ms": timeout_ms,
        "partitions": (),
        "started_at_ms": NO_TIME,
        "updated_at_ms": now_ms,
    }


def ongoing(
    now: TransactionStored, partitions: Iterable[TopicPartition], client_version: int, now_ms: int
) -> TransactionStored:
    """Partitions are added, the first of them begin the transaction."""
    is_first = now.state is not TransactionState.ONGOING
    return replace(
        now,
        state=TransactionState.ONGOING,
        previous_producer_id=now.producer_id,
        partitions=tuple(sorted({*now.partitions, *partitions})),
        started_at_ms=now_ms if is_first else now.started_at_ms,
        updated_at_ms=now_ms,
        client_version=client_version,
    )


def prepared(
    now: TransactionStored, client_version: int, next_producer_id: int, now_ms: int, *, is_commit: bool
) -> TransactionStored:
    """Decided. With version 2 the epoch ends with the transaction. One that was never begun starts and ends now."""
    bumps = client_version >= EPOCH_BUMP_VERSION
    return replace(
        now,
        state=TransactionState.PREPARE_COMMIT if is_commit else TransactionState.PREPARE_ABORT,
        previous_producer_id=now.producer_id,
        next_producer_id=next_producer_id,
        producer_epoch=now.producer_epoch + 1 if bumps else now.producer_epoch,
        last_producer_epoch=now.producer_epoch if bumps else now.last_producer_epoch,
        started_at_ms=now.started_at_ms if now.state is TransactionState.ONGOING else now_ms,
        updated_at_ms=now_ms,
        client_version=client_version,
    )


def completed(now: TransactionStored, now_ms: int) -> TransactionStored:
    """All markers are written. A producer whose epochs were used up goes on under its next id."""
    has_next = now.client_version >= EPOCH_BUMP_VERSION and now.next_producer_id != NO_PRODUCER_ID
    is_commit = now.state is TransactionState.PREPARE_COMMIT
    return replace(
        now,
        state=TransactionState.COMPLETE_COMMIT if is_commit else TransactionState.COMPLETE_ABORT,
        previous_producer_id=now.producer_id,
        producer_id=now.next_producer_id if has_next else now.producer_id,
        producer_epoch=0 if has_next else now.producer_epoch,
        next_producer_id=NO_PRODUCER_ID,
        partitions=(),
        updated_at_ms=now_ms,
    )
