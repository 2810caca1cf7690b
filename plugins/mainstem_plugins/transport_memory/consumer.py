"""One member of a group in memory. What stays with it is never revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from mainstem.api.context import Clock
from mainstem.api.transport import Committed, FetchedBatch, RebalanceListener, TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_memory import MemoryConfig
from mainstem_plugins.transport_memory.topics import MemoryTopics


class MemoryConsumer:
    """`fetch` serves the partitions in turn, beginning behind the one that was served last."""

    def __init__(
        self, config: MemoryConfig, clock: Clock, topics: MemoryTopics, group_id: str, *, from_latest: bool
    ) -> None:
        self.topics: Sequence[str] = ()
        self.owned: dict[TopicPartition, int] = {}
        self.fetched_at_ms = clock.monotonic_ms()
        self._config = config
        self._clock = clock
        self._shared = topics
        self._group = topics.group(group_id)
        self._from_latest = from_latest
        self._listener: RebalanceListener | None = None
        self._seen_version = -1
        self._was_told = False
        self._lost: list[TopicPartition] = []
        self._paused: set[TopicPartition] = set()
        self._told_end: dict[TopicPartition, int] = {}

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        for topic in topics:
            self._shared.partitions(topic)
        self.topics, self._listener = tuple(topics), listener
        self._join()

    def _join(self) -> None:
        self.fetched_at_ms = self._clock.monotonic_ms()
        self._group.join(self)
        self._shared.wake()

    def put_out(self) -> None:
        """By the group, because it slept: it learns so at its next fetch, or commit."""
        self._lost = list(self.owned)
        self.owned.clear()

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        await self._settle()
        await asyncio.sleep(0)  # others get their turn although there is always something to read
        fetched = self._collect(max_records)
        if fetched or not max_wait_ms:
            return fetched
        try:
            async with asyncio.timeout(max_wait_ms / 1000):
                while self._seen_version == self._group.version and not any(map(self._has_news, self.owned)):
                    await self._shared.changed()
        except TimeoutError:
            return []
        await self._settle()
        return self._collect(max_records)

    async def _settle(self) -> None:
        assert self._listener is not None, "subscribe comes before fetch"
        self.fetched_at_ms = self._clock.monotonic_ms()
        self._group.put_out_sleepers(self.fetched_at_ms - self._config.max_poll_interval_ms)
        if not self._group.is_member(self):
            lost, self._lost = self._lost, []
            self._paused.clear()
            await self._listener.lost(lost)
            self._join()
        if self._seen_version == self._group.version:
            return
        version, target = self._group.version, self._group.target(self)
        going = [partition for partition in self.owned if partition not in target]
        if going:
            await self._listener.revoked(going)
            self._give(going)
        coming = sorted(one for one in target if one not in self.owned and self._group.is_free(one))
        if coming or not self._was_told:
            self._was_told = True
            for partition in coming:
                self.owned[partition] = self._beginning(partition)
                self._told_end.pop(partition, None)
            await self._listener.assigned(coming)
        self._seen_version = version

    def _give(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self.owned.pop(partition, None)
        self._paused.difference_update(partitions)
        self._group.version += 1
        self._shared.wake()

    def _beginning(self, partition: TopicPartition) -> int:
        end, committed = self._shared.log(partition).end, self._group.offsets.get(partition)
        if committed is not None and committed.offset <= end:
            return committed.offset
        return end if self._from_latest else 0

    def _has_news(self, partition: TopicPartition) -> bool:
        if partition in self._paused or not self._shared.has(partition):
            return False
        return self.owned[partition] != self._shared.log(partition).end

    def _collect(self, max_records: int) -> list[FetchedBatch]:
        fetched: list[FetchedBatch] = []
        room = max_records
        for partition, offset in list(self.owned.items()):
            if room <= 0:
                break
            if partition in self._paused or not self._shared.has(partition):
                continue
            if offset > self._shared.log(partition).end:  # the topic was deleted and made again meanwhile
                offset = self._beginning(partition)
            one = self._shared.fetched(partition, offset, room)
            is_end = one.next_offset == one.end_offset
            if not len(one.batch) and not (is_end and self._told_end.get(partition) != one.end_offset):
                self.owned[partition] = one.next_offset
                continue
            if is_end:
                self._told_end[partition] = one.end_offset
            del self.owned[partition]  # to the end of the queue
            self.owned[partition] = one.next_offset
            fetched.append(one)
            room -= len(one.batch)
        return fetched

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        for partition, offset in offsets.items():
            if partition in self._lost:
                continue  # it will hear so at its next fetch
            if partition not in self.owned:
                raise TransportError(f"{partition} is not assigned")
            end = self._shared.log(partition).end
            if not 0 <= offset <= end:
                raise TransportError(f"{partition}: offset {offset} is not between 0 and its end {end}")
            self.owned[partition] = offset
            self._told_end.pop(partition, None)

    async def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        found = self._group.offsets
        return {partition: found[partition] for partition in partitions if partition in found}

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        self.store(offsets)

    def store(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Raises: NotMember, TransportError."""
        self._group.store(self, offsets)

    async def close(self) -> None:
        self.owned.clear()
        self._group.leave(self)
        self._shared.wake()
