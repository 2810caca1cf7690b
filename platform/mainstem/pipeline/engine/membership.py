"""Which tasks this worker has: what the consumer group gives and takes, as tasks that are made, restored and let go.

The consumer calls this while the engine waits for `fetch`. A task comes with its first partition and goes with any.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from mainstem.api.context import Clock
from mainstem.api.state import TaskState
from mainstem.api.transport import Committed, Transport, TransportConsumer
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.checkpoints import Owned, Ownership
from mainstem.pipeline.engine.reports import Reports
from mainstem.pipeline.engine.restoring import Kept, Restore
from mainstem.pipeline.engine.routes import Route
from mainstem.pipeline.engine.sink_tokens import TwoPhaseSinks
from mainstem.pipeline.engine.task import Task, TaskId
from mainstem.pipeline.state.changelog import StateId, state_id
from mainstem.pipeline.state.snapshot import Snapshot


class MadeTask(NamedTuple):
    """`state` is what it has on disk, None if all is in memory."""

    task: Task
    kept: Mapping[str, Kept]
    changelog: TopicPartition | None
    state: TaskState | None


class TaskMaker(Protocol):
    def make(self, task_id: TaskId) -> MadeTask: ...

    def snapshot(self, task_id: TaskId, committed: StateId | None) -> Snapshot | None:
        """What an earlier run has left of exactly this state. None where state is on disk."""

    async def open(self, task: Task) -> None:
        """Its state is there: let its steps begin."""


class Place(NamedTuple):
    """Where a partition belongs. `route` is None for the lease of a connector, from which nothing is read."""

    task_id: TaskId
    route: Route | None


class Membership:
    """`leaving(tasks)` is called before tasks go, while commits for them still count, and `lost` after tasks went without
    notice."""

    def __init__(
        self,
        transport: Transport,
        places: Callable[[TopicPartition], Place | None],
        maker: TaskMaker,
        leaving: Callable[[Sequence[Owned]], Awaitable[None]],
        lost: Callable[[Sequence[Owned]], Awaitable[None]],
        two_phase: TwoPhaseSinks,
        new_owner: Callable[[], int],
        clock: Clock,
        reports: Reports,
    ) -> None:
        self.consumer: TransportConsumer | None = None
        self.owned: dict[TaskId, Owned] = {}
        self.ownership: dict[str, Ownership] = {}
        self.restoring: dict[TaskId, Restore | None] = {}
        self.has_assignment = False
        self.must_fix_positions = False
        self._transport = transport
        self._places = places
        self._maker = maker
        self._leaving = leaving
        self._told_lost = lost
        self._two_phase = two_phase
        self._new_owner = new_owner
        self._clock = clock
        self._reports = reports

    @property
    def running(self) -> list[Owned]:
        return [one for task_id, one in self.owned.items() if task_id not in self.restoring]

    def find(self, partition: TopicPartition) -> Owned | None:
        """The task that reads a partition, if it is ready for records."""
        place = self._places(partition)
        if place is None or place.task_id in self.restoring:
            return None
        return self.owned.get(place.task_id)

    # What the consumer tells.

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        assert self.consumer is not None, "the consumer calls this"
        self.has_assignment = True
        self._reports.assigned(partitions)
        committed = await self.consumer.committed(partitions) if partitions else {}
        await self._two_phase.recover(one.metadata for one in committed.values())
        for partition in partitions:
            place = self._places(partition)
            if place is None:
                continue
            await self._add(partition, place, committed)
        for task_id, one in self.owned.items():
            if task_id in self.restoring and self.restoring[task_id] is None:
                self._start_restore(task_id, one, committed)

    async def _add(
        self, partition: TopicPartition, place: Place, committed: Mapping[TopicPartition, Committed]
    ) -> None:
        assert self.consumer is not None, "the consumer calls this"
        owned = self.owned.get(place.task_id)
        if owned is None:
            made = self._maker.make(place.task_id)
            owned = Owned(made.task, (), made.changelog, made.kept, made.state)
            self.ownership[str(place.task_id)] = Ownership(self._new_owner(), 0)
            if made.changelog is not None:
                self.restoring[place.task_id] = None
        if place.route is None:
            self.consumer.pause([partition])
            self.owned[place.task_id] = owned
            return
        owned = self.owned[place.task_id] = owned._replace(partitions=(*owned.partitions, partition))
        owned.task.assign(place.route.splits(partition))
        await self._begin_reading(partition, place.route, owned, committed.get(partition))
        if place.task_id in self.restoring:
            self.consumer.pause([partition])
        elif owned.changelog is None:
            await self._maker.open(owned.task)

    async def _begin_reading(
        self, partition: TopicPartition, route: Route, owned: Owned, committed: Committed | None
    ) -> None:
        assert self.consumer is not None, "the consumer calls this"
        if committed is not None:
            owned.task.positions[str(partition)] = committed.offset
        elif route.from_latest:
            # Kept at once: a crash before the first checkpoint would begin at a later end, and skip what was read.
            _, end = (await self._transport.end_offsets(partition.topic))[partition]
            await self.consumer.seek({partition: end})
            owned.task.positions[str(partition)] = end
            self.must_fix_positions = True

    def _start_restore(self, task_id: TaskId, one: Owned, committed: Mapping[TopicPartition, Committed]) -> None:
        assert one.changelog is not None, "what is restored has a changelog"
        found = [
            known
            for partition in (*one.partitions, one.changelog)
            if partition in committed and (known := state_id(committed[partition].metadata)) is not None
        ]
        newest: StateId | None = max(found, key=lambda known: (known.base, known.checkpoint), default=None)
        snapshot = self._maker.snapshot(task_id, newest)
        self.restoring[task_id] = Restore(
            self._transport, one.changelog, one.kept, newest, self._clock, one.state, snapshot
        )

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._reports.revoked(partitions)
        going = self._going(partitions)
        await self._leaving(going)
        self._forget(going)

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._reports.lost(partitions)
        going = self._going(partitions)
        self._forget(going)
        await self._told_lost(going)

    def _going(self, partitions: Sequence[TopicPartition]) -> list[Owned]:
        ids = {place.task_id for partition in partitions if (place := self._places(partition)) is not None}
        return [one for task_id, one in self.owned.items() if task_id in ids]

    def _forget(self, going: Sequence[Owned]) -> None:
        """By their ids: a roll-back may have made them anew meanwhile."""
        for one in going:
            owned = self.owned.pop(one.task.id, None)
            self.ownership.pop(str(one.task.id), None)
            self.restoring.pop(one.task.id, None)
            if owned is not None:
                owned.task.mailbox.clear()
                if owned.state is not None:
                    owned.state.close()

    # Restoring.

    async def restore_slice(self) -> Sequence[Owned]:
        """One slice of one restore. Returns the task that is ready now, if one is. Raises: TransportError, StateError."""
        for task_id, restore in list(self.restoring.items()):
            if restore is None:
                continue
            is_beginning = not restore.has_begun
            is_done = await restore.step()
            if is_beginning:
                self._reports.restoring(task_id, restore.records_total, from_snapshot=restore.is_from_snapshot)
            if not is_done:
                return []
            if self.restoring.get(task_id) is not restore:
                return []  # it went while its state was read
            return [await self._ready(task_id, restore)]
        return []

    async def _ready(self, task_id: TaskId, restore: Restore) -> Owned:
        assert self.consumer is not None, "assigned by it"
        owned = self.owned[task_id]
        del self.restoring[task_id]
        mine = self.ownership[str(task_id)]
        mine.base = restore.base
        self._reports.restored(task_id, restore.elapsed_ms)
        owned.task.restored()
        await self._maker.open(owned.task)
        self.consumer.resume(owned.partitions)
        return owned

    def close(self) -> None:
        self._forget(list(self.owned.values()))

    async def roll_back(self) -> None:
        """Throw away what was done since the last checkpoint: every task begins anew from what is committed."""
        assert self.consumer is not None, "rolled back after a commit by it"
        partitions = [partition for one in self.owned.values() for partition in self._all_partitions(one)]
        self._forget(list(self.owned.values()))
        if not partitions:
            return
        committed = await self.consumer.committed(partitions)
        starts = await self._starts(partitions, committed)
        if starts:
            await self.consumer.seek(starts)
        await self.assigned(partitions)

    def _all_partitions(self, one: Owned) -> Sequence[TopicPartition]:
        is_lease = one.task.section.connector is not None and one.changelog is not None
        return (*one.partitions, one.changelog) if is_lease and one.changelog is not None else one.partitions

    async def _starts(
        self, partitions: Sequence[TopicPartition], committed: Mapping[TopicPartition, Committed]
    ) -> dict[TopicPartition, int]:
        starts: dict[TopicPartition, int] = {}
        for partition in partitions:
            place = self._places(partition)
            if place is None or place.route is None:
                continue
            if partition in committed:
                starts[partition] = committed[partition].offset
            else:
                starts[partition] = (await self._transport.end_offsets(partition.topic))[partition][0]
        return starts
