"""DescribeTransactions and ListTransactions, of one shard.

Source: KIP-664, KIP-994, KIP-1152; Kafka's `TransactionStateManager`, 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from mainstem.core.regular_expression import matches
from mainstem.core.txn.commands import DescribeTransaction, ListTransactions
from mainstem.core.txn.records import TransactionStored
from mainstem.core.txn.results import DescribeResult, ListResult
from mainstem.core.txn.turn import Turn
from mainstem.model.errors import ErrorCode


def describe(turn: Turn, now: TransactionStored | None, command: DescribeTransaction) -> None:
    if now is None:
        turn.reply(command.token, command.refused(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND))
    else:
        turn.reply(command.token, DescribeResult(transaction=now))


def list_transactions(turn: Turn, transactions: Iterable[TransactionStored], command: ListTransactions) -> None:
    """A transaction that never began has no start, and is older than any duration: so it is in Kafka."""
    found = tuple(now for now in transactions if _is_wanted(now, command, turn.now_ms))
    turn.reply(command.token, ListResult(transactions=found))


def _is_wanted(now: TransactionStored, command: ListTransactions, now_ms: int) -> bool:
    if command.producer_ids and now.producer_id not in command.producer_ids:
        return False
    if command.states is None or (command.states and now.state not in command.states):
        return False
    if command.duration_ms >= 0 and now_ms - now.started_at_ms <= command.duration_ms:
        return False
    return command.pattern is None or matches(command.pattern, now.transactional_id)
