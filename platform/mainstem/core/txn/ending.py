"""Commit and abort: by the producer, by time, or because a newer producer came. Source: Kafka's `TransactionCoordinator`, 4.1.

With version 2 every end bumps the epoch, so "the epoch before" means a retry and "the epoch of now" the next transaction:

                      abort, retry   abort, now   commit, retry   commit, now
    Empty             fenced         ends         fenced          INVALID_TXN_STATE
    CompleteAbort     done           ends         INVALID         INVALID
    CompleteCommit    INVALID        ends         done            INVALID
"""

from __future__ import annotations

from mainstem.core.txn import transitions
from mainstem.core.txn.commands import CompleteTransaction, EndTransaction
from mainstem.core.txn.records import EPOCH_BUMP_VERSION, EPOCH_MAX, TransactionState, TransactionStored
from mainstem.core.txn.results import ProducerResult
from mainstem.core.txn.turn import Turn
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_PRODUCER_ID

_RESULT_OF = {TransactionState.COMPLETE_COMMIT: True, TransactionState.COMPLETE_ABORT: False}


def end(turn: Turn, now: TransactionStored | None, command: EndTransaction) -> None:
    if now is None:
        turn.reply(command.token, command.refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING))
    elif command.client_version >= EPOCH_BUMP_VERSION:
        _end_with_bump(turn, now, command)
    else:
        _end(turn, now, command)


def _end(turn: Turn, now: TransactionStored, command: EndTransaction) -> None:
    """Of a producer that keeps its epoch: a retry looks like the first call."""
    if now.producer_id != command.producer_id:
        error = ErrorCode.INVALID_PRODUCER_ID_MAPPING
    elif now.producer_epoch != command.producer_epoch:
        error = ErrorCode.PRODUCER_FENCED
    elif now.state is TransactionState.ONGOING:
        _prepare(turn, now, command, NO_PRODUCER_ID)
        return
    elif now.state.is_completing:
        error = ErrorCode.CONCURRENT_TRANSACTIONS
    else:
        is_done = _RESULT_OF.get(now.state) is command.is_commit
        error = ErrorCode.NONE if is_done else ErrorCode.INVALID_TXN_STATE
    turn.reply(command.token, ProducerResult(error=error))


def _end_with_bump(turn: Turn, now: TransactionStored, command: EndTransaction) -> None:
    epoch = command.producer_epoch
    is_overflow_retry = (
        now.previous_producer_id == command.producer_id and epoch == EPOCH_MAX - 1 and now.producer_epoch == 0
    )
    is_retry = is_overflow_retry or now.producer_epoch == epoch + 1
    if now.state.is_completing:
        # First of all: the producer may be ahead of what is written, under its next id.
        turn.reply(command.token, command.refused(ErrorCode.CONCURRENT_TRANSACTIONS))
    elif now.producer_id != command.producer_id and not is_overflow_retry:
        turn.reply(command.token, command.refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING))
    elif not _is_valid_epoch(now, epoch, is_retry=is_retry):
        turn.reply(command.token, command.refused(ErrorCode.PRODUCER_FENCED))
    elif is_retry and now.state is not TransactionState.ONGOING and now.state is not TransactionState.EMPTY:
        if _RESULT_OF[now.state] is command.is_commit:
            turn.reply(command.token, ProducerResult(producer_id=now.producer_id, producer_epoch=now.producer_epoch))
        else:
            turn.reply(command.token, command.refused(ErrorCode.INVALID_TXN_STATE))
    elif command.is_commit and now.state is not TransactionState.ONGOING:
        turn.reply(command.token, command.refused(ErrorCode.INVALID_TXN_STATE))
    elif now.is_epoch_exhausted and command.spare_producer_id is None:
        turn.reply(command.token, ProducerResult(needs_producer_id=True))
    else:
        # A producer that is not sure whether it has begun may abort, which gives it its next epoch.
        next_producer_id = command.spare_producer_id if now.is_epoch_exhausted else None
        _prepare(turn, now, command, NO_PRODUCER_ID if next_producer_id is None else next_producer_id)


def _is_valid_epoch(now: TransactionStored, epoch: int, *, is_retry: bool) -> bool:
    is_complete = now.state in (TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT)
    return now.producer_epoch == epoch or (is_retry and is_complete)


def _prepare(turn: Turn, now: TransactionStored, command: EndTransaction, next_producer_id: int) -> None:
    prepared = transitions.prepared(
        now, command.client_version, next_producer_id, turn.now_ms, is_commit=command.is_commit
    )
    turn.write(prepared)
    turn.write_markers(prepared)
    after = transitions.completed(prepared, turn.now_ms)
    turn.reply(command.token, ProducerResult(producer_id=after.producer_id, producer_epoch=after.producer_epoch))


def fence(turn: Turn, now: TransactionStored) -> None:
    """Abort an open transaction without its producer, which finds its epoch outdated. No client is told of this epoch."""
    assert now.state is TransactionState.ONGOING, now.state
    prepared = transitions.prepared(now, EPOCH_BUMP_VERSION, NO_PRODUCER_ID, turn.now_ms, is_commit=False)
    turn.write(prepared)
    turn.write_markers(prepared)


def complete(turn: Turn, now: TransactionStored | None, command: CompleteTransaction) -> None:
    """Late news of a transaction that was completed meanwhile changes nothing."""
    if (
        now is not None
        and now.state.is_completing
        and (now.producer_id, now.producer_epoch) == (command.producer_id, command.producer_epoch)
    ):
        turn.write(transitions.completed(now, turn.now_ms))
