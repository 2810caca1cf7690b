"""One worker of one pipeline: reads, lets tasks work, and makes checkpoints, all on one loop.

    fetch ─> mailboxes ─> tasks drain them ─> tick (time, idle splits) ─> checkpoint, when due ─> fetch …

A task that has to wait (a retry, an async function, a slow sink) does so in the background: its partitions are paused and
the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainstem.api.context import Clock
from mainstem.api.transport import FetchedBatch, NotMember, Transport, TransportConsumer
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.checkpoints import Checkpoint, Checkpoints, Owned
from mainstem.pipeline.engine.connector_reader import ConnectorReader
from mainstem.pipeline.engine.counters import PipelineCounters
from mainstem.pipeline.engine.finishing import Finishing
from mainstem.pipeline.engine.membership import Membership, Place
from mainstem.pipeline.engine.producing import WorkerProducer
from mainstem.pipeline.engine.purging import Purging
from mainstem.pipeline.engine.reports import Reports
from mainstem.pipeline.engine.routes import Route
from mainstem.pipeline.engine.sink_tokens import TwoPhaseSinks
from mainstem.pipeline.engine.snapshots import Snapshots
from mainstem.pipeline.engine.task import Mail, Task, TaskId

STALL_S = 0.05
LEAVE_S = 5.0
TICK_EVERY_MS = 20
RESTORE_MS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """`commit_interval_ms`: from one checkpoint to the next. `max_wait_ms` bounds how long a stop or a checkpoint may have to
    wait for a read. `purge_interval_ms`: how often what was committed of repartition topics is deleted."""

    commit_interval_ms: int = 1_000
    max_wait_ms: int = 200
    purge_interval_ms: int = 30_000


class Letter:
    """What was fetched of one partition, decoded when its task comes to it."""

    __slots__ = ("_at_end", "_fetched", "_route")

    def __init__(self, route: Route, fetched: FetchedBatch, *, at_end: bool) -> None:
        self._route = route
        self._fetched = fetched
        self._at_end = at_end

    async def open(self) -> Sequence[Mail]:
        return await self._route.decode(self._fetched, self._at_end)


@dataclass(slots=True, kw_only=True)
class WorkerParts:
    """What a worker is put together from. `consumer` is None where only connectors are read and nobody shares them."""

    transport: Transport
    consumer: TransportConsumer
    producer: WorkerProducer
    membership: Membership
    checkpoints: Checkpoints
    readers: dict[TaskId, ConnectorReader]
    places: Mapping[str, Place | Route]
    finishing: Finishing
    purging: Purging
    two_phase: TwoPhaseSinks
    snapshots: Snapshots | None
    waits: frozenset[str]
    counters: PipelineCounters
    reports: Reports
    clock: Clock
    settings: EngineSettings
    max_records: int


class Worker:
    """`topics` are subscribed to. Raises from every call: StoppedAt, TransportError, StateError, and what sinks raise."""

    def __init__(self, parts: WorkerParts, topics: Sequence[str]) -> None:
        self._parts = parts
        self._topics = topics
        self._drains: dict[TaskId, asyncio.Task[None]] = {}
        self._paused: set[TaskId] = set()
        self._lag: dict[str, int] = {}
        self._checkpoint_ms = self._tick_ms = parts.clock.monotonic_ms()
        self._finishing: asyncio.Task[None] | None = None
        self._must_roll_back = False
        self.is_stopping = False

    @property
    def is_finished(self) -> bool:
        return self._parts.finishing.is_finished

    @property
    def is_busy(self) -> bool:
        membership = self._parts.membership
        mail = any(one.task.mailbox for one in membership.owned.values())
        return not membership.has_assignment or bool(membership.restoring or self._drains or mail)

    @property
    def tasks(self) -> list[Task]:
        return [one.task for one in self._parts.membership.running]

    async def start(self) -> None:
        self._parts.membership.consumer = self._parts.consumer
        await self._parts.consumer.subscribe(self._topics, self._parts.membership)

    async def run(self) -> None:
        """Until it is stopped or everything that is bounded has ended; ends with a checkpoint."""
        while not (self.is_stopping or self.is_finished):
            await self._read()
            await self._work()
            await self._between_reads()
            await asyncio.sleep(0)  # a source that never waits must not keep the broker beside it from working
        await self._finish_drains()
        await self._checkpoint()
        if self._parts.snapshots is not None:
            await self._parts.snapshots.write(self._parts.membership.running, self._parts.membership.ownership)

    # Reading.

    async def _read(self) -> None:
        parts = self._parts
        wait_ms = 0 if self._must_not_wait() else parts.settings.max_wait_ms
        for reader in parts.readers.values():
            if reader.is_open and len(reader.task.mailbox) < 2:
                reader.start_reads(wait_ms)
        pending = [read for reader in parts.readers.values() for read in reader.pending]
        if pending:
            # The connectors' reads bound the wait; the consumer is asked in passing, so that the group stays together.
            await self._post(await parts.consumer.fetch(max_records=parts.max_records, max_wait_ms=0))
            if not any(read.done() for read in pending):
                await asyncio.wait(pending, timeout=wait_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
            for reader in parts.readers.values():
                reader.task.mailbox.extend(reader.collect())
            return
        await self._post(await parts.consumer.fetch(max_records=parts.max_records, max_wait_ms=wait_ms))

    def _must_not_wait(self) -> bool:
        membership = self._parts.membership
        return bool(membership.restoring or any(drain.done() for drain in self._drains.values()))

    async def _post(self, fetched: Sequence[FetchedBatch]) -> None:
        """Into the mailboxes of the tasks."""
        parts = self._parts
        for one in fetched:
            owned = parts.membership.find(one.partition)
            route = parts.places.get(one.partition.topic)
            if owned is None or not isinstance(route, Route):
                continue  # what was fetched before a task went, or is being restored; it will be read again
            split = str(one.partition)
            self._lag[split] = parts.counters.lag[split] = one.end_offset - one.next_offset
            at_end = parts.finishing.is_at_end(one.partition, one.next_offset)
            owned.task.mailbox.append(Letter(route, one, at_end=at_end))

    # Working.

    async def _work(self) -> None:
        for one in self._parts.membership.running:
            task = one.task
            if not task.mailbox or task.is_draining:
                continue
            if task.id.section in self._parts.waits:
                self._drains[task.id] = asyncio.ensure_future(task.drain())
            else:
                await task.drain()
        if self._drains:
            await asyncio.wait(self._drains.values(), timeout=STALL_S)
            self._settle_drains()

    def _settle_drains(self) -> None:
        """Take the results of those that are done; pause what the others read."""
        for task_id, drain in list(self._drains.items()):
            if drain.done():
                del self._drains[task_id]
                drain.result()
        consumer = self._parts.consumer
        for task_id, one in self._parts.membership.owned.items():
            if task_id in self._drains and task_id not in self._paused:
                self._paused.add(task_id)
                consumer.pause(one.partitions)
            elif task_id in self._paused and task_id not in self._drains:
                self._paused.discard(task_id)
                consumer.resume(one.partitions)
        self._paused.intersection_update(self._parts.membership.owned)

    async def _finish_drains(self, timeout_s: float | None = None) -> None:
        if self._drains:
            await asyncio.wait(self._drains.values(), timeout=timeout_s)
            self._settle_drains()

    # Between reads.

    async def _between_reads(self) -> None:
        parts = self._parts
        membership = parts.membership
        now_ms = parts.clock.monotonic_ms()
        if membership.restoring:
            await self._restore(now_ms)
        if now_ms - self._tick_ms >= TICK_EVERY_MS or parts.finishing.is_bounded:
            self._tick_ms = now_ms
            lag = dict(self._lag)
            for reader in parts.readers.values():
                lag.update(reader.lag)
            for one in membership.running:
                if not one.task.is_draining:
                    await one.task.tick(lag)
            self._count()
        await parts.finishing.step(membership, self._checkpoint)
        if self._finishing is not None and self._finishing.done():
            await self._settle_checkpoint()
        parts.purging.step()
        if membership.must_fix_positions:
            membership.must_fix_positions = False
            await self._checkpoint()
        elif now_ms - self._checkpoint_ms >= parts.settings.commit_interval_ms:
            await self._checkpoint_in_background()

    async def _restore(self, now_ms: int) -> None:
        membership = self._parts.membership
        until_ms = now_ms + RESTORE_MS
        while membership.restoring:
            for owned in await membership.restore_slice():
                reader = self._parts.readers.get(owned.task.id) or self._new_reader(owned.task)
                if reader is not None:
                    await reader.open()
            if self._parts.clock.monotonic_ms() >= until_ms:
                break
        self._parts.counters.restoring = sum(
            restore.records_total - restore.records_done for restore in membership.restoring.values() if restore
        )

    def _new_reader(self, task: Task) -> ConnectorReader | None:
        return None if task.section.connector is None else self._parts.finishing.open_reader(task, self._parts.readers)

    def _count(self) -> None:
        counters = self._parts.counters
        running = self._parts.membership.running
        counters.records_total = self._parts.finishing.records_total(self._parts.readers)
        marks = [one.task.marks.current for one in running if one.task.stages.stateful]
        counters.see_watermark(min(marks, default=None))

    # Checkpoints.

    async def _checkpoint(self) -> None:
        """One from beginning to end: everything that was read before is committed when this returns."""
        await self._settle_checkpoint()
        parts = self._parts
        if parts.producer.is_atomic:
            await self._finish_drains()
        await self._finish_checkpoint(await self._begin_checkpoint(self._at_rest()))
        await self._roll_back_if_told()

    async def _checkpoint_in_background(self) -> None:
        """At least once, records go on while what was written before arrives. Under full load that may take until the next
        one is due, which then waits."""
        if self._parts.producer.is_atomic:
            await self._checkpoint()
            return
        await self._settle_checkpoint()
        begun = await self._begin_checkpoint(self._at_rest())
        self._finishing = asyncio.ensure_future(self._finish_checkpoint(begun))

    async def _settle_checkpoint(self) -> None:
        """Wait for the one that is being finished."""
        finishing, self._finishing = self._finishing, None
        if finishing is not None:
            await finishing
        await self._roll_back_if_told()

    def _at_rest(self) -> list[Owned]:
        return [one for one in self._parts.membership.running if not one.task.is_draining]

    async def _begin_checkpoint(self, owned: Sequence[Owned]) -> Checkpoint:
        parts = self._parts
        begun = await parts.checkpoints.begin(owned, parts.membership.ownership)
        self._checkpoint_ms = parts.clock.monotonic_ms()
        sizes: dict[str, int] = {}
        for task in self.tasks:
            for step, store in task.stores.items():
                sizes[step] = sizes.get(step, 0) + store.size
        parts.counters.state_entries = sizes
        return begun

    async def _finish_checkpoint(self, begun: Checkpoint) -> None:
        parts = self._parts
        try:
            if await begun.finish(parts.membership.ownership, parts.consumer):
                parts.counters.commits += 1
                parts.purging.committed(begun.offsets)
        except NotMember:
            self._must_roll_back = True
            return
        for task_id, positions in begun.positions.items():
            reader = parts.readers.get(task_id)
            if reader is not None:
                await reader.commit(positions)

    async def leaving(self, going: Sequence[Owned]) -> None:
        """Before tasks go to another worker: what is in hand is finished if that takes no long time, and committed. What is
        not will be read again there, which is better than to keep the group waiting."""
        await self._settle_checkpoint()
        owned = self._parts.membership.owned
        going = [owned[one.task.id] for one in going]  # maybe made anew meanwhile
        await self._finish_drains(LEAVE_S)
        is_half_done = any(one.task.is_draining for one in self._parts.membership.running)
        ready = [
            one for one in going if not one.task.is_draining and one.task.id not in self._parts.membership.restoring
        ]
        for one in going:
            await self._cancel_drain(one.task.id)
        if self._parts.producer.is_atomic and is_half_done:
            self._must_roll_back = True
        elif self._parts.producer.is_atomic:
            await self._checkpoint()
        elif ready:
            await self._finish_checkpoint(await self._begin_checkpoint(ready))
        await self._roll_back_if_told()
        await self._clear_up(going)

    async def lost(self, gone: Sequence[Owned]) -> None:
        """Tasks went without notice. What they have written must not be committed along with the others' work."""
        for one in gone:
            await self._cancel_drain(one.task.id)
        await self._clear_up(gone)
        if gone and self._parts.producer.is_atomic:
            await self._roll_back()

    async def _clear_up(self, gone: Sequence[Owned]) -> None:
        for one in gone:
            reader = self._parts.readers.pop(one.task.id, None)
            if reader is not None:
                await reader.close()
            for partition in one.partitions:
                self._forget(partition)

    async def _cancel_drain(self, task_id: TaskId) -> None:
        drain = self._drains.pop(task_id, None)
        if drain is not None:
            drain.cancel()
            await asyncio.wait([drain])

    def _forget(self, partition: TopicPartition) -> None:
        self._lag.pop(str(partition), None)
        self._parts.counters.lag.pop(str(partition), None)

    async def _roll_back_if_told(self) -> None:
        if self._must_roll_back:
            await self._roll_back()

    async def _roll_back(self) -> None:
        """Somebody else has our partitions by now: nothing that was done since the last checkpoint counts."""
        parts = self._parts
        finishing, self._finishing = self._finishing, None
        if finishing is not None:
            await finishing
        self._must_roll_back = False
        parts.reports.rolled_back()
        for task_id in list(self._drains):
            await self._cancel_drain(task_id)
        self._paused.clear()
        await parts.producer.abort()
        await parts.two_phase.abort()
        for reader in parts.readers.values():
            await reader.close()
        parts.readers.clear()
        await parts.membership.roll_back()

    async def close(self) -> None:
        for task_id in list(self._drains):
            await self._cancel_drain(task_id)
        if self._finishing is not None:
            self._finishing.cancel()
            await asyncio.wait([self._finishing])
        await self._parts.purging.close()
        closing: list[Any] = [reader.close() for reader in self._parts.readers.values()]
        self._parts.membership.close()
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
