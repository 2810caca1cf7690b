"""Which partitions a transaction has: added by the producer or by the brokers it writes to, asked for by those brokers.

Source: KIP-98, KIP-890; Kafka's `TransactionCoordinator`, 4.1.
"""

from __future__ import annotations

from mainstem.core.txn import transitions
from mainstem.core.txn.commands import AddPartitions, VerifyPartitions
from mainstem.core.txn.records import TransactionState, TransactionStored
from mainstem.core.txn.results import PartitionsResult
from mainstem.core.txn.turn import Turn
from mainstem.model.errors import ErrorCode


def add(turn: Turn, now: TransactionStored | None, command: AddPartitions) -> None:
    problem = _problem(now, command)
    if now is not None and now.state.is_completing:
        # First of all: with its next epoch, and perhaps its next id, the producer may be ahead of what is written.
        problem = ErrorCode.CONCURRENT_TRANSACTIONS
    if problem is ErrorCode.NONE:
        assert now is not None, "a transactional id without a problem is known"
        if now.state is not TransactionState.ONGOING or not set(command.partitions) <= set(now.partitions):
            turn.write(transitions.ongoing(now, command.partitions, command.client_version, turn.now_ms))
    turn.reply(command.token, PartitionsResult(error=problem))


def verify(turn: Turn, now: TransactionStored | None, command: VerifyPartitions) -> None:
    """The log that asks looks again when it appends, so that nothing here depends on what happens in between."""
    problem = _problem(now, command)
    if problem is not ErrorCode.NONE or now is None:
        turn.reply(command.token, command.refused(problem))
        return
    missing = dict.fromkeys(set(command.partitions) - set(now.partitions), ErrorCode.TRANSACTION_ABORTABLE)
    turn.reply(command.token, PartitionsResult(errors=missing))


def _problem(now: TransactionStored | None, command: AddPartitions | VerifyPartitions) -> ErrorCode:
    if now is None or now.producer_id != command.producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if now.producer_epoch != command.producer_epoch:
        return ErrorCode.PRODUCER_FENCED
    return ErrorCode.CONCURRENT_TRANSACTIONS if now.state.is_completing else ErrorCode.NONE
