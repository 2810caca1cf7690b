"""Checkpoints: positions, state and what was written, brought to one point.

    at least once                                exactly once
    1. changes of state are written              the same, in the open transaction
    2. connectors' sinks flush                   the same, or prepare (`sink_tokens`) and are committed after 4
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
from mainstem.api.transport import Committed, NotMember, TransportConsumer
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.connector_reader import reason_of
from mainstem.pipeline.engine.producing import WorkerProducer
from mainstem.pipeline.engine.restoring import DiskPosition, Kept
from mainstem.pipeline.engine.sink_tokens import TwoPhaseSinks, with_tokens
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
    """Which state this process writes: an owner drawn at random, and how many checkpoints it has made of the task. `written`: how
    many offsets of the changelog that took."""

    __slots__ = ("base", "checkpoint", "offsets", "owner", "written")

    def __init__(self, owner: int, base: int) -> None:
        self.owner = owner
        self.base = base
        self.checkpoint = 0
        self.written = 0
        self.offsets: Mapping[TopicPartition, int] = {}


class CheckpointPart(NamedTuple):
    """What a checkpoint holds of one task, as it was when the checkpoint began."""

    owned: Owned
    ownership: Ownership
    offsets: Mapping[TopicPartition, int]
    positions: Mapping[str, Any]
    metadata: str
    changes: list[StateChange]

    def committed(self, tokens: Mapping[str, str]) -> dict[TopicPartition, Committed]:
        """`tokens` of sinks stand beside every position: each is found by whoever takes over any of the tasks."""
        metadata = with_tokens(self.metadata, tokens)
        committed = {partition: Committed(offset, metadata) for partition, offset in self.offsets.items()}
        if self.owned.task.section.connector is not None and self.owned.changelog is not None:
            # The lease of the connector; its positions are a part of the state.
            committed[self.owned.changelog] = Committed(0, metadata)
        return committed


class Checkpoint:
    """One that has begun: state and positions are taken, and tasks may go on. Call `finish`; nothing counts before that.

    Raises from every call: TransportError, NotMember, StateError, and what sinks raise.
    """

    def __init__(
        self,
        parts: Sequence[CheckpointPart],
        producer: WorkerProducer,
        sinks: Sequence[Flushed],
        two_phase: TwoPhaseSinks,
        clock: Clock,
    ) -> None:
        self._parts = parts
        self._producer = producer
        self._sinks = sinks
        self._two_phase = two_phase
        self._clock = clock

    @property
    def positions(self) -> Mapping[TaskId, Mapping[str, Any]]:
        """Of connectors, for those that keep them too."""
        return {part.owned.task.id: part.positions for part in self._parts}

    @property
    def offsets(self) -> Mapping[TopicPartition, int]:
        return {partition: offset for part in self._parts for partition, offset in part.offsets.items()}

    async def finish(self, ownership: Mapping[str, Ownership], consumer: TransportConsumer | None) -> bool:
        """Returns whether there was anything to commit. `ownership` changes meanwhile: a task that went, and maybe came back,
        begins from an older checkpoint, so this one must not count for it any more. It holds the other tasks afterwards."""
        await self._flush_sinks()
        tokens = await self._two_phase.prepare()
        await self._producer.commit(lambda: self._committed(ownership, tokens), consumer)
        await self._two_phase.commit(tokens)
        self._keep_owned(ownership)
        for part in self._parts:
            mine, state = part.ownership, part.owned.state
            mine.offsets = part.offsets
            mine.checkpoint += 1
            if state is not None:
                state.write(part.changes, DiskPosition(mine.base, self._clock.now_ms()).data())
                for kept in part.owned.kept.values():
                    kept.store.let_go()
        return bool(self._parts)

    def _committed(
        self, ownership: Mapping[str, Ownership], tokens: Mapping[str, str]
    ) -> Mapping[TopicPartition, Committed]:
        """Raises: NotMember if commits are atomic and a task went: what it wrote must not be committed either."""
        count = len(self._parts)
        self._keep_owned(ownership)
        if self._producer.is_atomic and len(self._parts) < count:
            raise NotMember("tasks went to another worker")
        return {partition: one for part in self._parts for partition, one in part.committed(tokens).items()}

    def _keep_owned(self, ownership: Mapping[str, Ownership]) -> None:
        self._parts = [part for part in self._parts if ownership.get(str(part.owned.task.id)) is part.ownership]

    async def _flush_sinks(self) -> None:
        for sink in self._sinks:
            try:
                await sink.flush()
            except Exception as error:  # a sink may be a stranger's
                raise StoppedAt(sink.name, "", StageFailure(reason_of(error))) from error


class Checkpoints:
    """Begins them for one worker, one after the other. Raises from every call: TransportError, StateError."""

    def __init__(
        self, producer: WorkerProducer, sinks: Iterable[Flushed], two_phase: TwoPhaseSinks, clock: Clock
    ) -> None:
        self._producer = producer
        self._sinks = list(sinks)
        self._two_phase = two_phase
        self._clock = clock

    async def begin(self, owned: Sequence[Owned], ownership: Mapping[str, Ownership]) -> Checkpoint:
        """Of these tasks, none of which is at work; the one before must be finished."""
        moved = [one for one in owned if _offsets(one) != ownership[str(one.task.id)].offsets or _has_positions(one)]
        parts = [await self._take(one, ownership[str(one.task.id)]) for one in moved]
        return Checkpoint(parts, self._producer, self._sinks, self._two_phase, self._clock)

    async def _take(self, one: Owned, mine: Ownership) -> CheckpointPart:
        offsets, positions = _offsets(one), dict(one.task.positions)
        if one.changelog is None:
            return CheckpointPart(one, mine, offsets, positions, "", [])
        state_id = StateId(mine.owner, mine.checkpoint + 1, mine.base)
        one.task.keep_progress(state_id.checkpoint)
        changes, written = await self._write_state(one, one.changelog, state_id)
        # With them goes the marker of their transaction.
        mine.written += written + int(self._producer.is_atomic)
        return CheckpointPart(one, mine, offsets, positions, state_id.text(), changes)

    async def _write_state(
        self, one: Owned, changelog: TopicPartition, state_id: StateId
    ) -> tuple[list[StateChange], int]:
        """Returns what belongs on disk, which is nothing for a task that has no folder; and how many entries there were."""
        on_disk: list[StateChange] = []
        written = 0
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
                for batch in to_batches(changes, state_id.owner, state_id.checkpoint, self._clock.now_ms()):
                    await self._producer.produce(changelog, batch)
                    written += len(batch)
                await asyncio.sleep(0)  # whoever shares the loop, a broker say, must not wait for all of a large state
        return on_disk, written


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
