"""Brings a task's state back from its changelog, a slice at a time, so that the worker stays a member of its group meanwhile.

What is read, what counts of it and what is repaired is said in `state.changelog`. Every checkpoint writes an entry at least
(its number, in the progress store), and that of the committed one must be among what is read: if a transaction is still being
decided it comes later, and if the changelog was deleted it never comes, and nothing is started on half a state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mainstem.api.context import Clock
from mainstem.api.transport import Transport
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.state.changelog import Change, Replay, StateId
from mainstem.pipeline.state.encoding import StateCodec, StateError, step_of
from mainstem.pipeline.state.store import MISSING, MemoryStore

SLICE_RECORDS = 20_000
READ_WAIT_MS = 100
PATIENCE_MS = 60_000


class Kept(NamedTuple):
    """A store with the codec of its step."""

    store: MemoryStore
    codec: StateCodec


class Restore:
    """One task's. Call `step` until it returns True; `base` and the repairs are there then."""

    def __init__(
        self,
        transport: Transport,
        partition: TopicPartition,
        kept: Mapping[str, Kept],
        committed: StateId | None,
        clock: Clock,
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
        self._offset = -1
        self._end = -1
        self._deadline_ms = 0

    async def step(self) -> bool:
        """Raises: TransportError, StateError."""
        if self._offset < 0:
            await self._begin()
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
        self.base = self._end
        self._repair()
        return True

    async def _begin(self) -> None:
        self._offset, self._end = (await self._transport.end_offsets(self.partition.topic))[self.partition]
        self.records_total = self._end - self._offset
        self._deadline_ms = self._clock.monotonic_ms() + PATIENCE_MS

    def _wait_for_checkpoint(self) -> None:
        if self._clock.monotonic_ms() > self._deadline_ms:
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
        for key, value in changes:
            kept = self._find(key)
            if kept is None:
                continue  # of a step that the plan had once
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
                kept.store.touch(place.group, [place.key])
