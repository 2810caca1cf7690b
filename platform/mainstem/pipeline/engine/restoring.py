"""Brings a task's state back from its changelog, a slice at a time, so that the worker stays a member of its group meanwhile.

What is read, what counts of it and what is repaired is said in `state.changelog`. Every checkpoint writes an entry at least
(its number, in the progress store), and that of the committed one must be among what is read: if a transaction is still being
decided it comes later, and if the changelog was deleted it never comes, and nothing is started on half a state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mainstem.api.context import Clock
from mainstem.api.state import StateChange, TaskState
from mainstem.api.transport import Transport
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.state.changelog import Change, Replay, StateId
from mainstem.pipeline.state.encoding import StateCodec, StateError, step_of
from mainstem.pipeline.state.snapshot import Snapshot, entries_of
from mainstem.pipeline.state.store import MISSING, KeptStore, MemoryStore

SLICE_RECORDS = 20_000
READ_WAIT_MS = 100
PATIENCE_MS = 60_000
DISK_AGE_MAX_MS = 20 * 3_600_000
"""Older than this a state on disk may have missed a deletion: changelogs keep them for a day (`delete.retention.ms`)."""


class DiskPosition(NamedTuple):
    """What a state on disk stands on: the base of an ownership, whose entries must be read once more, and when it was written."""

    base: int
    written_ms: int

    def data(self) -> bytes:
        return b"%d %d" % self


def disk_position(data: bytes | None) -> DiskPosition:
    """Base -1: there is none."""
    if data is None:
        return DiskPosition(-1, 0)
    base, _, written_ms = data.partition(b" ")
    return DiskPosition(int(base), int(written_ms))


class Kept(NamedTuple):
    """A store with the codec of its step."""

    store: KeptStore
    codec: StateCodec


class Restore:
    """One task's. Call `step` until it returns True; `base` and the repairs are there then. `snapshot` is of the committed
    state."""

    def __init__(
        self,
        transport: Transport,
        partition: TopicPartition,
        kept: Mapping[str, Kept],
        committed: StateId | None,
        clock: Clock,
        state: TaskState | None = None,
        snapshot: Snapshot | None = None,
    ) -> None:
        self.partition = partition
        self.records_total = 0
        self.records_done = 0
        self.base = 0
        self._transport = transport
        self._kept = kept
        self._committed = committed
        self._replay = Replay(committed)
        self._clock = clock
        self._state = state
        self._snapshot = snapshot
        self._blocks: deque[bytes] = deque()
        self._offset = -1
        self._end = -1
        self._began_ms = 0
        self.is_from_snapshot = False

    @property
    def has_begun(self) -> bool:
        return self._offset >= 0

    @property
    def elapsed_ms(self) -> int:
        return self._clock.monotonic_ms() - self._began_ms

    async def step(self) -> bool:
        """Raises: TransportError, StateError."""
        if self._offset < 0:
            await self._begin()
        if self._blocks:
            self._restore(entries_of(self._blocks.popleft()))
            return False
        if self._offset < self._end:
            await self._read()
        if self._offset < self._end:
            return False
        # The end may have moved: entries of an owner that was put out and still writes, or a transaction's.
        _, end = (await self._transport.end_offsets(self.partition.topic))[self.partition]
        if end > self._end:
            self._end = end
            return False
        if not self._replay.is_complete:
            self._wait_for_checkpoint()
            return False
        # The disk goes on standing on the old base until the first own checkpoint: only that writes the repairs.
        self.base = self._end
        self._repair()
        return True

    async def _begin(self) -> None:
        self._offset, self._end = (await self._transport.end_offsets(self.partition.topic))[self.partition]
        if self._state is not None:
            self._offset = self._begin_on_disk(self._state, self._offset)
        elif self._snapshot is not None and self._offset <= self._snapshot.covers <= self._end:
            self._offset = self._snapshot.covers
            self._blocks.extend(self._snapshot.blocks)
            self._replay.is_complete = self.is_from_snapshot = True
        self.records_total = self._end - self._offset
        self._began_ms = self._clock.monotonic_ms()

    def _begin_on_disk(self, state: TaskState, start: int) -> int:
        """Where the changelog must be read from: what the disk has stands on the base of an earlier owner in this folder."""
        stands_on = disk_position(state.position())
        age_ms = self._clock.now_ms() - stands_on.written_ms
        if self._committed is None or not start <= stands_on.base <= self._end or age_ms > DISK_AGE_MAX_MS:
            state.clear()
            return start
        progress = self._kept[""]
        assert isinstance(progress.store, MemoryStore), "progress is small and always in memory"
        for key, data in state.scan(progress.codec.prefix):
            place = progress.codec.place(key)
            progress.store.restore(place, progress.codec.read(place, data))
        return stands_on.base

    def _wait_for_checkpoint(self) -> None:
        if self.elapsed_ms > PATIENCE_MS:
            raise StateError(
                f"changelog {self.partition} has not the state that belongs to the committed position (checkpoint "
                f"{self._committed.checkpoint if self._committed else 0}); was the topic deleted? `mainstem state reset` begins "
                "without state"
            )

    async def _read(self) -> None:
        fetched = await self._transport.read(
            self.partition, self._offset, max_records=SLICE_RECORDS, max_wait_ms=READ_WAIT_MS
        )
        self._apply(self._replay.take(fetched.batch, fetched.offsets))
        if fetched.next_offset > self._offset:
            self._offset = fetched.next_offset
        elif fetched.end_offset <= self._offset:
            self._offset = self._end  # the rest was compacted away while it was read
        self.records_done = self.records_total - max(0, self._end - self._offset)

    def _apply(self, changes: Sequence[Change]) -> None:
        if self._state is not None:
            known = self._state.position() or DiskPosition(0, self._clock.now_ms()).data()
            self._state.write([StateChange(*change) for change in changes], known)
        self._restore(changes)

    def _restore(self, changes: Sequence[Change]) -> None:
        for key, value in changes:
            kept = self._find(key)
            if kept is None or not isinstance(kept.store, MemoryStore):
                continue  # on disk, or of a step that the plan had once
            place = kept.codec.place(key)
            kept.store.restore(place, MISSING if value is None else kept.codec.read(place, value))

    def _find(self, key: bytes) -> Kept | None:
        step = step_of(key)
        return None if step is None else self._kept.get(step)

    def _repair(self) -> None:
        """What does not count is written over with what does, at the next checkpoint."""
        for key in self._replay.foreign:
            kept = self._find(key)
            if kept is not None:
                place = kept.codec.place(key)
                kept.store.load(place.group, [place.key])
                kept.store.touch(place.group, [place.key])
