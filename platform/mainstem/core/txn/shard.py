"""All transactional ids of one partition of `__transaction_state`: the state machine that a coordinator runs.

State is the latest record of each id and nothing else; a decision that could not be appended leaves it as it was. Once a decision
to commit or abort is committed, markers are written (an effect); a shard that is loaded in the middle of that starts over.
Source: Kafka's `TransactionCoordinator` and `TransactionStateManager`, 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from mainstem.core.decision import Decision
from mainstem.core.txn import ending, looking, partitions, producers
from mainstem.core.txn.commands import (
    AbortTimedOut,
    AddPartitions,
    CompleteTransaction,
    DescribeTransaction,
    EndTransaction,
    InitProducerId,
    ListTransactions,
    RemoveExpired,
    TransactionCommand,
    VerifyPartitions,
)
from mainstem.core.txn.records import (
    UNLIMITED_MS,
    TransactionRecord,
    TransactionRemoved,
    TransactionState,
    TransactionStored,
)
from mainstem.core.txn.settings import TransactionSettings
from mainstem.core.txn.turn import Turn
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_PRODUCER_ID

ABORT_TIMER = ("abort-timed-out",)
EXPIRY_TIMER = ("remove-expired",)
RETRY_MS = 1_000


class TransactionShard:
    """Begins in replay: `apply` takes records as they are until `loaded` is called, once."""

    def __init__(self, settings: TransactionSettings) -> None:
        self.settings = settings
        self.transactions: dict[str, TransactionStored] = {}
        self._ongoing: dict[str, None] = {}
        self._is_replaying = True

    # --- deciding -------------------------------------------------------------------------------------------

    def decide(self, command: TransactionCommand, now_ms: int) -> Decision[TransactionRecord]:
        assert not self._is_replaying, "a shard decides nothing before it is loaded"
        turn = Turn(self.settings, now_ms)
        match command:
            case InitProducerId():
                producers.init(turn, self.transactions.get(command.transactional_id), command)
            case AddPartitions():
                partitions.add(turn, self.transactions.get(command.transactional_id), command)
            case VerifyPartitions():
                partitions.verify(turn, self.transactions.get(command.transactional_id), command)
            case EndTransaction():
                ending.end(turn, self.transactions.get(command.transactional_id), command)
            case CompleteTransaction():
                ending.complete(turn, self.transactions.get(command.transactional_id), command)
            case DescribeTransaction():
                looking.describe(turn, self.transactions.get(command.transactional_id), command)
            case ListTransactions():
                looking.list_transactions(turn, self.transactions.values(), command)
            case AbortTimedOut():
                self._abort_timed_out(turn, command)
            case RemoveExpired():
                self._remove_expired(turn, command)
            case _:
                assert_never(command)
        return turn.decision

    def _abort_timed_out(self, turn: Turn, command: AbortTimedOut) -> None:
        turn.decision.atomic = False
        for transactional_id in self._ongoing:
            now = self.transactions[transactional_id]
            if now.timeout_ms != UNLIMITED_MS and now.started_at_ms + now.timeout_ms < turn.now_ms:
                turn.note("transaction.timed_out", transactional_id=transactional_id, producer_id=now.producer_id)
                ending.fence(turn, now)
        turn.wake(ABORT_TIMER, self.settings.abort_timed_out_interval_ms, command)

    def _remove_expired(self, turn: Turn, command: RemoveExpired) -> None:
        turn.decision.atomic = False
        used_before_ms = turn.now_ms - self.settings.transactional_id_expiration_ms
        for now in self.transactions.values():
            if now.state.may_expire and now.updated_at_ms <= used_before_ms:
                turn.write(TransactionRemoved(transactional_id=now.transactional_id))
        turn.wake(EXPIRY_TIMER, self.settings.remove_expired_interval_ms, command)

    # --- state ----------------------------------------------------------------------------------------------

    def apply(self, record: TransactionRecord, *, offset: int, producer_id: int = NO_PRODUCER_ID) -> None:
        """Take a record that is in the log; in replay also what others wrote."""
        if isinstance(record, TransactionRemoved):
            self.transactions.pop(record.transactional_id, None)
            self._ongoing.pop(record.transactional_id, None)
            return
        self.transactions[record.transactional_id] = record
        if record.state is TransactionState.ONGOING:
            self._ongoing[record.transactional_id] = None
        else:
            self._ongoing.pop(record.transactional_id, None)

    def end_transaction(self, producer_id: int, committed: bool) -> None:
        """Nobody writes to this topic within a transaction."""

    def loaded(self, now_ms: int) -> Decision[TransactionRecord]:
        """Replay is over. Transactions that were decided and not completed get their markers, perhaps once more."""
        self._is_replaying = False
        turn = Turn(self.settings, now_ms)
        for now in self.transactions.values():
            if now.state.is_completing:
                turn.write_markers(now)
        self._wake(turn)
        return turn.decision

    def _wake(self, turn: Turn) -> None:
        turn.wake(ABORT_TIMER, self.settings.abort_timed_out_interval_ms, AbortTimedOut())
        turn.wake(EXPIRY_TIMER, self.settings.remove_expired_interval_ms, RemoveExpired())

    def reject(
        self, records: Sequence[TransactionRecord], error: ErrorCode, now_ms: int
    ) -> Decision[TransactionRecord]:
        """`records` were decided and could not be written; their replies were refused with `error`, their timers not set.

        Producers ask again. What the coordinator does of its own accord it tries again.
        """
        turn = Turn(self.settings, now_ms)
        for record in records:
            now = self.transactions.get(record.transactional_id)
            if isinstance(record, TransactionStored) and now is not None and now.state.is_completing:
                again = CompleteTransaction(
                    transactional_id=now.transactional_id,
                    producer_id=now.producer_id,
                    producer_epoch=now.producer_epoch,
                )
                turn.wake(("complete", now.transactional_id), RETRY_MS, again)
        self._wake(turn)
        return turn.decision

    # --- looking --------------------------------------------------------------------------------------------

    def persisted(self) -> Iterator[TransactionRecord]:
        """What a replay of the log would find; for tests and tools."""
        yield from self.transactions.values()
