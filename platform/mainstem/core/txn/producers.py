"""InitProducerId: who is the producer of a transactional id from now on.

Source: KIP-98, KIP-360; Kafka's `TransactionCoordinator`, 4.1.
"""

from __future__ import annotations

from mainstem.core.txn import transitions
from mainstem.core.txn.commands import InitProducerId, ProducerIdAndEpoch
from mainstem.core.txn.ending import fence
from mainstem.core.txn.records import NO_EPOCH, TransactionState, TransactionStored, is_exhausted
from mainstem.core.txn.results import ProducerResult
from mainstem.core.txn.turn import Turn
from mainstem.model.errors import ErrorCode

_NEEDS_PRODUCER_ID = ProducerResult(needs_producer_id=True)


def init(turn: Turn, now: TransactionStored | None, command: InitProducerId) -> None:
    """A transaction that is open is aborted first; the producer asks again until that is done."""
    if not 0 < command.timeout_ms <= turn.settings.transaction_max_timeout_ms:
        turn.reply(command.token, command.refused(ErrorCode.INVALID_TRANSACTION_TIMEOUT))
    elif now is None:
        if command.spare_producer_id is None:
            turn.reply(command.token, _NEEDS_PRODUCER_ID)
            return
        first = transitions.created(
            command.transactional_id, command.spare_producer_id, command.timeout_ms, turn.now_ms
        )
        _hand_over(turn, first, command)
    elif now.state.is_completing:
        turn.reply(command.token, command.refused(ErrorCode.CONCURRENT_TRANSACTIONS))
    elif not _is_known(now, command.expected):
        turn.reply(command.token, command.refused(ErrorCode.PRODUCER_FENCED))
    elif now.state is TransactionState.ONGOING:
        fence(turn, now)
        turn.reply(command.token, command.refused(ErrorCode.CONCURRENT_TRANSACTIONS))
    else:
        _next(turn, now, command)


def _is_known(now: TransactionStored, expected: ProducerIdAndEpoch | None) -> bool:
    """The last case is a retry of a call that was answered with a fresh producer id, and the answer was lost."""
    return (
        expected is None
        or expected.producer_id == now.producer_id
        or (expected.producer_id == now.previous_producer_id and is_exhausted(expected.producer_epoch))
    )


def _next(turn: Turn, now: TransactionStored, command: InitProducerId) -> None:
    expected = None if command.expected is None else command.expected.producer_epoch
    if now.is_epoch_exhausted and expected in (None, now.producer_epoch):
        if command.spare_producer_id is None:
            turn.reply(command.token, _NEEDS_PRODUCER_ID)
            return
        after = transitions.rotated(
            now,
            command.spare_producer_id,
            command.timeout_ms,
            turn.now_ms,
            keeps_last_epoch=command.expected is not None,
        )
    elif expected is None:
        after = transitions.taken_over(now, now.producer_epoch + 1, NO_EPOCH, command.timeout_ms, turn.now_ms)
    elif expected == now.producer_epoch:
        # It goes on after an error, and nobody else came between.
        after = transitions.taken_over(now, now.producer_epoch + 1, now.producer_epoch, command.timeout_ms, turn.now_ms)
    elif expected == now.last_producer_epoch and not now.is_epoch_exhausted:
        # A retry of a call that was answered: another producer would have set the last epoch to none.
        after = transitions.taken_over(
            now, now.producer_epoch, now.last_producer_epoch, command.timeout_ms, turn.now_ms
        )
    else:
        turn.reply(command.token, command.refused(ErrorCode.PRODUCER_FENCED))
        return
    _hand_over(turn, after, command)


def _hand_over(turn: Turn, after: TransactionStored, command: InitProducerId) -> None:
    turn.write(after)
    turn.note("transaction.producer_initialized", transactional_id=after.transactional_id, epoch=after.producer_epoch)
    turn.reply(command.token, ProducerResult(producer_id=after.producer_id, producer_epoch=after.producer_epoch))
