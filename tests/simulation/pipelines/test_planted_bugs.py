"""Bugs that were planted in the engine: the simulation must find each within a few hundred seeds."""

from __future__ import annotations

from typing import Any

import pytest
from planted_bugs import find_planted_bug

from mainstem.api.transport import Committed
from mainstem.pipeline.engine import snapshots
from mainstem.pipeline.engine.checkpoints import Checkpoint, Checkpoints, Owned
from mainstem.pipeline.engine.membership import Membership
from mainstem.pipeline.engine.producing import AtLeastOnce, ExactlyOnce
from mainstem.pipeline.engine.restoring import Restore
from mainstem.pipeline.engine.sink_tokens import TwoPhaseSinks
from mainstem.pipeline.engine.task import Task
from mainstem.pipeline.engine.worker import Worker
from mainstem.pipeline.state.changelog import Change, Replay

SEEDS = 300


async def commits_before_it_flushes(self: Any, offsets: Any, consumer: Any) -> None:
    if consumer is not None and (found := offsets()):
        await consumer.commit(found)
    await self.flush()


def believes_every_entry(self: Any, batch: Any, offsets: Any) -> list[Change]:
    self.is_complete = True
    return [Change(key, value and value[12:]) for key, value in zip(batch.keys, batch.values, strict=True)]


def repairs_nothing(self: Any) -> None:
    pass


async def keeps_what_it_has_lost(self: Any, partitions: Any) -> None:
    pass


async def commits_what_lost_tasks_wrote(self: Any, gone: Any) -> None:
    await self._clear_up(gone)


def forgets_the_watermark(self: Any) -> None:
    self.positions.update(self.progress.load_all(1))


async def leaves_without_a_checkpoint_and_commits_later(self: Any, going: Any) -> None:
    consumer = self._parts.consumer
    await consumer.commit(
        {p: position_of(one, p) for one in going for p in one.partitions if one.task.positions.get(str(p)) is not None}
    )
    await self._clear_up(going)


def position_of(one: Owned, partition: Any) -> Any:
    return Committed(one.task.positions[str(partition)])


async def writes_no_state(self: Any, one: Any, mine: Any) -> Any:
    for kept in one.kept.values():
        kept.store.take_changes()
    return await TRUE_TAKE(self, one, mine)


TRUE_TAKE = Checkpoints._take


async def commits_where_its_tasks_are_by_now(self: Any, ownership: Any, consumer: Any) -> Any:
    """Records were read on while the checkpoint was being finished."""
    await self._producer.flush()
    self._parts = [
        part._replace(offsets={p: part.owned.task.positions[str(p)] for p in part.offsets}) for part in self._parts
    ]
    return await TRUE_FINISH(self, ownership, consumer)


TRUE_FINISH = Checkpoint.finish


def counts_for_tasks_that_began_again(self: Any, ownership: Any) -> None:
    """They were lost and came back while the checkpoint was being finished."""


async def looks_for_no_tokens(self: Any, committed: Any) -> None:
    pass


async def shows_before_positions_are_committed(self: Any) -> dict[str, str]:
    tokens = await TRUE_PREPARE(self)
    await self.commit(tokens)
    return tokens


TRUE_PREPARE = TwoPhaseSinks.prepare


async def keeps_what_was_rolled_back(self: Any) -> None:
    pass


async def begins_a_transaction_for_the_offsets_alone(self: Any, offsets: Any, consumer: Any) -> None:
    if self._has_begun:
        self._has_begun = False
        await self._producer.commit({}, consumer)
    await TRUE_COMMIT(self, offsets, consumer)


TRUE_COMMIT = ExactlyOnce.commit


def leaves_an_entry_out(entries: Any) -> bytes:
    return TRUE_BLOCK_OF(entries[:-1])


TRUE_BLOCK_OF = snapshots.block_of


@pytest.mark.parametrize(
    ("owner", "name", "bug", "kind", "exactly_once"),
    [
        (AtLeastOnce, "commit", commits_before_it_flushes, "records", False),
        (Replay, "take", believes_every_entry, "totals", False),
        (Restore, "_repair", repairs_nothing, "totals", False),
        (Membership, "lost", keeps_what_it_has_lost, "totals", False),
        (Worker, "lost", commits_what_lost_tasks_wrote, "records", True),
        (Task, "restored", forgets_the_watermark, "windows", False),
        (Worker, "leaving", leaves_without_a_checkpoint_and_commits_later, "totals", False),
        (Checkpoints, "_take", writes_no_state, "totals", True),
        (Checkpoint, "finish", commits_where_its_tasks_are_by_now, "totals", False),
        (Checkpoint, "_keep_owned", counts_for_tasks_that_began_again, "moved-totals", False),
        (TwoPhaseSinks, "recover", looks_for_no_tokens, "sink", True),
        (TwoPhaseSinks, "prepare", shows_before_positions_are_committed, "sink", True),
        (TwoPhaseSinks, "abort", keeps_what_was_rolled_back, "sink", True),
        (ExactlyOnce, "commit", begins_a_transaction_for_the_offsets_alone, "moved-totals", True),
        (Membership, "_start_restore", None, "totals", True),
        (snapshots, "block_of", leaves_an_entry_out, "totals", False),
    ],
)
def test_the_simulation_finds(simulate_one, monkeypatch, owner, name, bug, kind, exactly_once):
    if bug is None:
        bug = starts_from_nothing
    monkeypatch.setattr(owner, name, bug)
    find_planted_bug(lambda seed: simulate_one(seed, exactly_once=exactly_once, kind=kind), range(SEEDS), bug.__name__)


def starts_from_nothing(self: Any, task_id: Any, one: Any, committed: Any) -> None:
    self.restoring[task_id] = Restore(self._transport, one.changelog, one.kept, None, self._clock)
