"""Bugs that transactions must not have, planted one at a time: chaos has to notice each within 200 seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from planted_bugs import find_planted_bug

from mainstem.core.group.offset_store import OffsetStore
from mainstem.core.log.producer_state import ProducerStates
from mainstem.core.log.transactions import Transactions
from mainstem.core.log.verification import Admission
from mainstem.core.txn import ending, transitions
from mainstem.core.txn.shard import TransactionShard
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_PRODUCER_ID
from mainstem.runtime.transaction_markers import Completion
from mainstem.runtime.transaction_verification import TransactionVerifier

SEEDS = range(200)


def plant_forgotten_markers(patch: pytest.MonkeyPatch) -> None:
    """A coordinator that is read back does not go on with what was decided."""
    loaded = TransactionShard.loaded

    def without_effects(shard: TransactionShard, now_ms: int) -> Any:
        decision = loaded(shard, now_ms)
        decision.effects.clear()
        return decision

    patch.setattr(TransactionShard, "loaded", without_effects)


def plant_half_a_completion(patch: pytest.MonkeyPatch) -> None:
    """A transaction counts as complete with its first marker."""

    def written(completion: Completion, partition: Any, error: ErrorCode) -> None:
        completion._missing.clear()
        completion._complete_if_done()

    patch.setattr(Completion, "_written", written)


def plant_no_verification(patch: pytest.MonkeyPatch) -> None:
    """Logs take transactional batches that no coordinator knows of."""

    def admit(verifier: Any, writer: Any, logs: Any, done: Any) -> None:
        done([Admission(is_required=False)] * len(logs))

    patch.setattr(TransactionVerifier, "admit", admit)


def plant_a_fence_without_epoch(patch: pytest.MonkeyPatch) -> None:
    """Who is fenced keeps its epoch."""

    def fence(turn: Any, now: Any) -> None:
        prepared = transitions.prepared(now, 0, NO_PRODUCER_ID, turn.now_ms, is_commit=False)
        turn.write(prepared)
        turn.write_markers(prepared)

    patch.setattr(ending, "fence", fence)


def plant_zombies(patch: pytest.MonkeyPatch) -> None:
    """Epochs are not looked at where records are written."""
    check = ProducerStates.check

    def as_if_current(states: ProducerStates, header: Any, **said: Any) -> Any:
        entry = states.entries.get(header.producer_id)
        if entry is not None and header.producer_epoch < entry.epoch:
            return ErrorCode.NONE
        return check(states, header, **said)

    patch.setattr(ProducerStates, "check", as_if_current)


def plant_early_offsets(patch: pytest.MonkeyPatch) -> None:
    """Offsets count before their transaction does."""
    put = OffsetStore.put
    patch.setattr(OffsetStore, "put", lambda store, stored, offset, producer_id: put(store, stored, offset, -1))


def plant_any_end_will_do(patch: pytest.MonkeyPatch) -> None:
    """A transaction that was aborted tells its producer that it is committed."""
    end = ending.end

    def obliging(turn: Any, now: Any, command: Any) -> None:
        if now is not None and now.state in ending._RESULT_OF:
            command = replace(command, is_commit=ending._RESULT_OF[now.state])
        end(turn, now, command)

    patch.setattr(ending, "end", obliging)


def plant_dirty_reads(patch: pytest.MonkeyPatch) -> None:
    """Readers see what is not decided yet."""
    patch.setattr(Transactions, "last_stable_offset", lambda transactions, high_watermark: high_watermark)


def plant_forgotten_sequences(patch: pytest.MonkeyPatch) -> None:
    """A batch that comes twice is written twice."""
    check = ProducerStates.check

    def without_memory(states: ProducerStates, header: Any, **said: Any) -> Any:
        found = check(states, header, **said)
        return found if isinstance(found, ErrorCode) else ErrorCode.NONE

    patch.setattr(ProducerStates, "check", without_memory)


@pytest.mark.parametrize(
    "plant",
    [
        plant_forgotten_markers,
        plant_half_a_completion,
        plant_no_verification,
        plant_a_fence_without_epoch,
        plant_zombies,
        plant_early_offsets,
        plant_any_end_will_do,
        plant_dirty_reads,
        plant_forgotten_sequences,
    ],
)
def test_a_planted_bug_is_found(
    simulate: Callable[[int], Any],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    plant(monkeypatch)
    find_planted_bug(simulate, SEEDS, plant.__doc__)
