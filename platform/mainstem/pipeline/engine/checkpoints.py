"""Checkpoints: positions, state and what was written, brought to one point.

    at least once                                exactly once
    1. connectors' sinks flush                   the same
    2. changes of state are written              the same, in the open transaction
    3. the producer flushes                      (the commit does)
    4. offsets are committed, with state ids     offsets join the transaction, which commits

A crash anywhere in between leaves the last checkpoint as it was: offset and state id change together, and what was written
to a changelog meanwhile does not count (`state.changelog`). The stages of tasks that are in the middle of something (a retry, a
slow sink) are left out, and taken with the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

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


class Checkpoints:
    """Makes them for one worker. Raises from every call: TransportError, NotMember, StateError, and what sinks raise."""

    def __init__(self, producer: WorkerProducer, sinks: Iterable[Flushed], clock: Clock) -> None:
        self._producer = producer
        self._sinks = list(sinks)
        self._clock = clock
        self._on_disk: dict[TaskId, list[StateChange]] = {}
        self.count = 0

    async def make(
        self, owned: Sequence[Owned], ownership: Mapping[str, Ownership], consumer: TransportConsumer | None
    ) -> bool:
        """Of these tasks, none of which is at work. Returns whether there was anything to commit."""
        for sink in self._sinks:
            try:
                await sink.flush()
            except Exception as error:  # a sink may be a stranger's
                raise StoppedAt(sink.name, "", StageFailure(reason_of(error))) from error
        moved = [one for one in owned if _offsets(one) != ownership[str(one.task.id)].offsets or _has_positions(one)]
        offsets: dict[TopicPartition, Committed] = {}
        self._on_disk = {}
        for one in moved:
            offsets.update(await self._write_state(one, ownership[str(one.task.id)]))
        await self._producer.commit(offsets, consumer)
        for one in moved:
            mine = ownership[str(one.task.id)]
            if one.state is not None:
                position = DiskPosition(mine.base, self._clock.now_ms())
                one.state.write(self._on_disk.get(one.task.id, []), position.data())
                for kept in one.kept.values():
                    kept.store.let_go()
            mine.offsets = _offsets(one)
            mine.checkpoint += 1
        if moved:
            self.count += 1
        return bool(moved)

    async def _write_state(self, one: Owned, mine: Ownership) -> dict[TopicPartition, Committed]:
        if one.changelog is None:
            return {partition: Committed(offset) for partition, offset in _offsets(one).items()}
        checkpoint = mine.checkpoint + 1
        one.task.keep_progress(checkpoint)
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
                    self._on_disk.setdefault(one.task.id, []).extend(StateChange(*change) for change in changes)
                for batch in to_batches(changes, mine.owner, checkpoint, self._clock.now_ms()):
                    await self._producer.produce(one.changelog, batch)
                await asyncio.sleep(0)  # whoever shares the loop, a broker say, must not wait for all of a large state
        metadata = StateId(mine.owner, checkpoint, mine.base).text()
        offsets = _offsets(one)
        if one.task.section.connector is not None:
            offsets[one.changelog] = 0  # the lease of the connector; its positions are a part of the state
        return {partition: Committed(offset, metadata) for partition, offset in offsets.items()}


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
