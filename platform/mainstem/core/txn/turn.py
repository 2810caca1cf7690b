"""One command being decided: what it may look at, and the decision it fills."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import msgspec

from mainstem.core.decision import Decision, Fact, Reply, Timer
from mainstem.core.txn.commands import WriteMarkers
from mainstem.core.txn.records import TransactionRecord, TransactionState, TransactionStored
from mainstem.core.txn.settings import TransactionSettings


class Turn(msgspec.Struct):
    """Lives for one call of `decide`. `now_ms` is wall-clock time."""

    settings: TransactionSettings
    now_ms: int
    decision: Decision[TransactionRecord] = msgspec.field(default_factory=Decision)

    def reply(self, token: Any, response: Any) -> None:
        self.decision.replies.append(Reply(token, response))

    def write(self, record: TransactionRecord) -> None:
        self.decision.records.append(record)

    def wake(self, key: Hashable, delay_ms: int, command: Any) -> None:
        self.decision.timers.append(Timer(key, delay_ms, command))

    def note(self, event: str, **facts: Any) -> None:
        self.decision.facts.append(Fact(event, facts))

    def write_markers(self, prepared: TransactionStored) -> None:
        """Once all that was written is committed."""
        self.decision.effects.append(
            WriteMarkers(
                transactional_id=prepared.transactional_id,
                producer_id=prepared.producer_id,
                producer_epoch=prepared.producer_epoch,
                is_commit=prepared.state is TransactionState.PREPARE_COMMIT,
                partitions=prepared.partitions,
            )
        )
