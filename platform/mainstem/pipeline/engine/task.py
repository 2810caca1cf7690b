"""One task: a section of the plan at work on one partition of its topics, with the state of the keys in it.

What was read waits in a mailbox and is taken in order by `drain`, of which one runs at a time. State, watermarks and positions
belong together: a checkpoint takes them between two pieces of mail, and a task that is rolled back is thrown away and made
anew from its changelog.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from mainstem.api.batch import SourceBatch
from mainstem.api.context import Clock
from mainstem.pipeline.engine.moments import ReadTimes, delayed
from mainstem.pipeline.engine.provenance import SourceOrigin
from mainstem.pipeline.engine.repartitioning import RepartitionStage
from mainstem.pipeline.engine.stages import EntryStage, Packet, StoppedAt
from mainstem.pipeline.engine.stateful_stage import StatefulStage
from mainstem.pipeline.engine.topology import Section
from mainstem.pipeline.engine.watermarks import BEGINNING, END, Watermarks
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.state.store import KeptStore, MemoryStore

WATERMARKS, POSITIONS, CHECKPOINT, TOLD = 0, 1, 2, 3
CURRENT = NUMBER = ""
TELL_EVERY_MS = 100


class TaskId(NamedTuple):
    section: str
    number: int

    def __str__(self) -> str:
        return f"{self.section}/{self.number}"


class Mark(NamedTuple):
    """What a split says of its event time: `watermark_ms`, or END; or that it is idle."""

    split: str
    watermark_ms: int
    is_idle: bool = False


class Mail(NamedTuple):
    """What was read at one entry, named by its step. `marks` hold once its records are through; None: the records
    themselves tell the time.
    """

    entry: str
    read: SourceBatch
    marks: Sequence[Mark] | None = None


class Letter(Protocol):
    """What waits in a mailbox: opened when the task comes to it, because decoding may have to wait too."""

    async def open(self) -> Sequence[Mail]:
        """Raises: StoppedAt."""


class TaskStages(NamedTuple):
    """What a task is made of. `stateful` in an order in which each comes behind those in front of it."""

    entries: Mapping[str, EntryStage]
    stateful: Sequence[StatefulStage]
    repartitions: Sequence[RepartitionStage]
    idle_after_ms: int


class Task:
    def __init__(
        self, task_id: TaskId, section: Section, stages: TaskStages, stores: Mapping[str, KeptStore], clock: Clock
    ) -> None:
        self.id = task_id
        self.section = section
        self.stages = stages
        self.stores = stores
        self.progress = MemoryStore("")
        self.marks = Watermarks()
        self.positions: dict[str, Any] = {}
        self.mailbox: deque[Letter] = deque()
        self.is_draining = False
        self._clock = clock
        self._active_ms: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._told_ms = 0

    @property
    def has_event_time(self) -> bool:
        """Somebody here or behind a repartition topic wants to know it."""
        return bool(self.stages.stateful or self.stages.repartitions)

    # Splits.

    def assign(self, splits: Sequence[str]) -> None:
        now_ms = self._clock.monotonic_ms()
        for split in splits:
            self.marks.assign(split)
            self._active_ms.setdefault(split, now_ms)

    def restored(self) -> None:
        """The progress store is as the last checkpoint left it."""
        kept = dict(self.progress.load_all(WATERMARKS))
        current = kept.pop(CURRENT, BEGINNING)
        self.marks.restore(current, kept)
        self.positions.update(self.progress.load_all(POSITIONS))
        # Whoever told it does not tell it again just because its reader is another one now.
        for split, (watermark_ms, is_idle) in self.progress.load_all(TOLD).items():
            self._hear(Mark(split, watermark_ms, is_idle))

    # Records.

    async def drain(self) -> None:
        """Take all mail. Raises: StoppedAt."""
        self.is_draining = True
        try:
            while self.mailbox:
                for mail in await self.mailbox.popleft().open():
                    await self._take(mail)
        finally:
            self.is_draining = False

    async def _take(self, mail: Mail) -> None:
        read, marks = mail.read, mail.marks
        batch = read.batch
        split = read.split
        times: ReadTimes | None = None
        if len(batch):
            self._active_ms[split] = self._clock.monotonic_ms()
            times = self._times(split, batch.timestamps, declared=marks is not None or read.watermark_ms is not None)
            await self.stages.entries[mail.entry].take(Packet(batch, SourceOrigin(read), times, split), "")
        self.positions[split] = read.next_position
        if not self.has_event_time:
            if read.at_end:
                self.marks.finish(split)
            return
        self._observe(mail)
        await self.advance()

    def _times(self, split: str | None, timestamps: Sequence[int], *, declared: bool) -> ReadTimes:
        return ReadTimes(self.marks, self._clock.now_ms(), split, timestamps, declared=declared)

    def _observe(self, mail: Mail) -> None:
        read, marks = mail.read, self.marks
        if mail.marks is not None:
            for mark in mail.marks:
                self._hear(mark)
                self.progress.load_all(TOLD)[mark.split] = (mark.watermark_ms, mark.is_idle)
                self.progress.touch(TOLD, (mark.split,))
            return
        if read.watermark_ms is not None:
            marks.observe(read.split, read.watermark_ms)
        elif read.batch.timestamps:
            marks.observe(read.split, max(read.batch.timestamps))
        if read.at_end:
            marks.finish(read.split)

    def _hear(self, mark: Mark) -> None:
        if mark.is_idle:
            self.marks.mark_idle(mark.split)
        elif mark.watermark_ms == END:
            self.marks.finish(mark.split)
        else:
            self.marks.observe(mark.split, mark.watermark_ms)

    # Time.

    async def advance(self) -> None:
        """Let stages with state know how far event time has come. Raises: StoppedAt."""
        before = self.marks.current
        watermark = self.marks.advance()
        if watermark > before:
            times = self._times(None, (), declared=True)
            times.watermark_ms = times.reach_ms = before
            for stage in self.stages.stateful:
                await self._guarded(stage, stage.advance(watermark, times))

    async def tick(self, lag: Mapping[str, int]) -> None:
        """Time has passed: splits fall idle, timers of the wall clock fire, and what is behind us is told how far we are.

        `lag` is of splits that were read to their end 0. Raises: StoppedAt.
        """
        now_ms = self._clock.monotonic_ms()
        if self.has_event_time:
            for split, active_ms in self._active_ms.items():
                if now_ms - active_ms >= self.stages.idle_after_ms and lag.get(split) == 0:
                    self.marks.mark_idle(split)
            await self.advance()
        times: ReadTimes | None = None
        for stage in self.stages.stateful:
            if stage.operator.next_wall_clock_ms() is not None:
                times = times or self._times(None, (), declared=True)
                await self._guarded(stage, stage.tick(times))
        if self.stages.repartitions and (now_ms - self._told_ms >= TELL_EVERY_MS or self.marks.is_finished):
            self._told_ms = now_ms
            await self._tell_watermark()

    async def _tell_watermark(self) -> None:
        for stage in self.stages.repartitions:
            is_idle = self.marks.is_idle and not self.marks.is_finished
            watermark = delayed(self.marks.current, stage.delay_ms)
            if is_idle:
                watermark = BEGINNING
            if self._told.get(stage.name) != watermark and (is_idle or watermark > BEGINNING):
                await stage.tell_watermark(self.id.number, watermark, is_idle=is_idle)
                self._told[stage.name] = watermark

    async def _guarded(self, stage: StatefulStage, work: Any) -> None:
        try:
            await work
        except StageFailure as failure:
            raise StoppedAt(stage.name, "", failure) from failure.cause
        except StoppedAt:
            raise
        except Exception as error:  # a user's aggregate or timer may raise anything
            raise StoppedAt(stage.name, "", StageFailure(error)) from error

    # Checkpoints.

    def keep_progress(self, checkpoint: int) -> None:
        """Before a checkpoint: its number, watermarks, and positions where the group cannot keep them, as a part of the state."""
        self.progress.load_all(CHECKPOINT)[NUMBER] = checkpoint
        self.progress.touch(CHECKPOINT, [NUMBER])
        kept = self.progress.load_all(WATERMARKS)
        wanted = {**self.marks.newest, CURRENT: self._watermark_to_keep()}
        changed = [split for split, value in wanted.items() if value > BEGINNING and kept.get(split) != value]
        kept.update({split: wanted[split] for split in changed})
        self.progress.touch(WATERMARKS, changed)
        if self.section.connector is not None:
            moved = self._moved()
            self.progress.load_all(POSITIONS).update({split: self.positions[split] for split in moved})
            self.progress.touch(POSITIONS, moved)

    def connector_has_moved(self) -> bool:
        return self.section.connector is not None and bool(self._moved())

    def _moved(self) -> list[str]:
        known = self.progress.load_all(POSITIONS)
        return [
            split for split, position in self.positions.items() if position is not None and known.get(split) != position
        ]

    def _watermark_to_keep(self) -> int:
        """At the end of a bounded run windows are closed before their time: what counts then is which were."""
        if self.marks.current < END:
            return self.marks.current
        closed = [
            until_ms + stage.delay_ms
            for stage in self.stages.stateful
            if (until_ms := stage.operator.closed_until_ms()) is not None
        ]
        return max([BEGINNING, *closed])
