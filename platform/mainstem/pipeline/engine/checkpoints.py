"""Checkpoints: positions, state and what was written, brought to one point.

    at least once                                exactly once
    1. changes of state are written              the same, in the open transaction
    2. connectors' sinks flush                   the same
    3. the producer flushes                      (the commit does)
    4. offsets are committed, with state ids     offsets join the transaction, which commits

At least once, tasks go on with their work from 2 on: what they write meanwhile may arrive with it, which is harmless.

A crash anywhere in between leaves the last checkpoint as it was: offset and state id change together, and what was written to
a changelog meanwhile does not count (`state.changelog`). The stages of tasks that are in the middle of something (a retry, a
slow sink) are left out, and taken with the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from mainstem.api.context import Clock
from mainstem.api.state import StateChange, TaskState
from mainstem.api.transport import Committed, TransportConsumer
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.connector_reader import reason_of
from mainstem.pipeline.engine.producing import WorkerProducer
from mainstem.pipeline.engine.restoring import DiskPosition, Kept
from mainstem.pipeline.engine.stages import StoppedAt
from mainstem.pipeline.engine.task import Task, TaskId
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.state.changelog import Change, StateId, to_batches
from mainstem.pipeline.state.store import MISSING

ENTRIES_AT_ONCE = 10_000


class Flushed(Protocol):
    """A connector's sink; `name` is that of its stage."""

    @property
    def name(self) -> str: ...

    async def flush(self) -> None: ...


class Owned(NamedTuple):
    """A task with what a checkpoint of it needs. `partitions` are its topics'; `changelog` None: it keeps no state.

    `kept` is by step, the progress store among them as "".
    """

    task: Task
    partitions: Sequence[TopicPartition]
    changelog: TopicPartition | None
    kept: Mapping[str, Kept]
    state: TaskState | None = None


class Ownership:
    """Which state this process writes: an owner drawn at random, and how many checkpoints it has made of the task."""

    __slots__ = ("base", "checkpoint", "offsets", "owner")

    def __init__(self, owner: int, base: int) -> None:
        self.owner = owner
        self.base = base
        self.checkpoint = 0
        self.offsets: Mapping[TopicPartition, int] = {}


class CheckpointPart(NamedTuple):
    """What a checkpoint holds of one task, as it was when the checkpoint began."""

    owned: Owned
    ownership: Ownership
    offsets: Mapping[TopicPartition, int]
    positions: Mapping[str, Any]
    metadata: str
    changes: list[StateChange]

    def committed(self) -> dict[TopicPartition, Committed]:
        committed = {partition: Committed(offset, self.metadata) for partition, offset in self.offsets.items()}
        if self.owned.task.section.connector is not None and self.owned.changelog is not None:
            # The lease of the connector; its positions are a part of the state.
            committed[self.owned.changelog] = Committed(0, self.metadata)
        return committed


class Checkpoint:
    """One that has begun: state and positions are taken, and tasks may go on. Call `finish`; nothing counts before that.

    Raises from every call: TransportError, NotMember, StateError, and what sinks raise.
    """

    def __init__(
        self, parts: Sequence[CheckpointPart], producer: WorkerProducer, sinks: Sequence[Flushed], clock: Clock
    ) -> None:
        self._parts = parts
        self._producer = producer
        self._sinks = sinks
        self._clock = clock

    @property
    def positions(self) -> Mapping[TaskId, Mapping[str, Any]]:
        """Of connectors, for those that keep them too."""
        return {part.owned.task.id: part.positions for part in self._parts}

    async def finish(self, ownership: Mapping[str, Ownership], consumer: TransportConsumer | None) -> bool:
        """Returns whether there was anything to commit. `ownership` as it is now: of a task that went meanwhile nothing is
        written to its folder, which may have a new owner."""
        await self._flush_sinks()
        offsets = {partition: one for part in self._parts for partition, one in part.committed().items()}
        await self._producer.commit(offsets, consumer)
        for part in self._parts:
            mine, state = part.ownership, part.owned.state
            mine.offsets = part.offsets
            mine.checkpoint += 1
            if ownership.get(str(part.owned.task.id)) is mine and state is not None:
                state.write(part.changes, DiskPosition(mine.base, self._clock.now_ms()).data())
                for kept in part.owned.kept.values():
                    kept.store.let_go()
        return bool(self._parts)

    async def _flush_sinks(self) -> None:
        for sink in self._sinks:
            try:
                await sink.flush()
            except Exception as error:  # a sink may be a stranger's
                raise StoppedAt(sink.name, "", StageFailure(reason_of(error))) from error


class Checkpoints:
    """Begins them for one worker, one after the other. Raises from every call: TransportError, StateError."""

    def __init__(self, producer: WorkerProducer, sinks: Iterable[Flushed], clock: Clock) -> None:
        self._producer = producer
        self._sinks = list(sinks)
        self._clock = clock

    async def begin(self, owned: Sequence[Owned], ownership: Mapping[str, Ownership]) -> Checkpoint:
        """Of these tasks, none of which is at work; the one before must be finished."""
        moved = [one for one in owned if _offsets(one) != ownership[str(one.task.id)].offsets or _has_positions(one)]
        parts = [await self._take(one, ownership[str(one.task.id)]) for one in moved]
        return Checkpoint(parts, self._producer, self._sinks, self._clock)

    async def _take(self, one: Owned, mine: Ownership) -> CheckpointPart:
        checkpoint = mine.checkpoint + 1
        metadata = ""
        changes: list[StateChange] = []
        if one.changelog is not None:
            one.task.keep_progress(checkpoint)
            metadata = StateId(mine.owner, checkpoint, mine.base).text()
        part = CheckpointPart(one, mine, _offsets(one), dict(one.task.positions), metadata, changes)
        if one.changelog is not None:
            await self._write_state(one, one.changelog, mine.owner, checkpoint, changes)
        return part

    async def _write_state(
        self, one: Owned, changelog: TopicPartition, owner: int, checkpoint: int, on_disk: list[StateChange]
    ) -> None:
        for kept in one.kept.values():
            entries = kept.store.take_changes()
            for start in range(0, len(entries), ENTRIES_AT_ONCE):
                changes = [
                    Change(
                        kept.codec.key(entry.place),
                        None if entry.value is MISSING else kept.codec.value(entry.place, entry.value),
                    )
                    for entry in entries[start : start + ENTRIES_AT_ONCE]
                ]
                if one.state is not None:
                    on_disk.extend(StateChange(*change) for change in changes)
                for batch in to_batches(changes, owner, checkpoint, self._clock.now_ms()):
                    await self._producer.produce(changelog, batch)
                await asyncio.sleep(0)  # whoever shares the loop, a broker say, must not wait for all of a large state


def _offsets(one: Owned) -> dict[TopicPartition, int]:
    """Also of partitions that have not moved, so that all of a task's carry the same state id."""
    positions = one.task.positions
    return {
        partition: positions[str(partition)]
        for partition in one.partitions
        if positions.get(str(partition)) is not None
    }


def _has_positions(one: Owned) -> bool:
    """A connector's positions, or state that changed by the wall clock alone."""
    return any(kept.store.has_changes for kept in one.kept.values()) or one.task.connector_has_moved()
