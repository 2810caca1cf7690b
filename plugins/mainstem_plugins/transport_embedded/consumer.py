"""A member of a consumer group of the broker in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.api.node import CommittedOffset, LocalNode
from mainstem.api.transport import Committed, FetchedBatch, RebalanceListener, TransportError
from mainstem.model.errors import ErrorCode, RequestError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_embedded import EmbeddedConfig
from mainstem_plugins.transport_embedded.reading import read_records
from mainstem_plugins.transport_embedded.trouble import trouble

BEAT_MS = 100
"""Whoever fetches hears of a new assignment that soon; a heartbeat costs a call in the process."""
BEATS_ASIDE_S = 5.0
FENCED = frozenset({ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_MEMBER_EPOCH})


class EmbeddedConsumer:
    """`fetch` asks the partitions in turn, beginning behind the one that was served last, and carries the heartbeats. While
    nobody fetches a task beside it sends some, until `max_poll_interval_ms` are over."""

    def __init__(
        self, config: EmbeddedConfig, context: PluginContext, node: LocalNode, group_id: str, *, from_latest: bool
    ) -> None:
        self._config = config
        self._log = context.log
        self._clock = context.clock
        self._node = node
        self.group_id = group_id
        self.member = node.member(group_id, config.max_poll_interval_ms)
        self._from_latest = from_latest
        self._topics: Sequence[str] = ()
        self._listener: RebalanceListener | None = None
        self._target: frozenset[TopicPartition] | None = None
        self._was_told = False
        self._beat_ms = self._fetched_ms = context.clock.monotonic_ms()
        self._beating: asyncio.Task[None] | None = None
        self._next: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._told_end: dict[TopicPartition, int] = {}

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        for topic in topics:
            if self._node.partition_count(topic) is None:
                raise TransportError(f"topic {topic} does not exist")
        self._topics, self._listener = topics, listener
        await self._join()
        self._beating = asyncio.create_task(self._beat_aside())

    async def _join(self) -> None:
        try:
            target = await self.member.join(self._topics)
        except RequestError as error:
            raise trouble(error, f"group {self.group_id} cannot be joined") from error
        self._target = frozenset(target or ())

    async def _beat_aside(self) -> None:
        """Until the consumer is closed. What a heartbeat brings is acted on by the next fetch."""
        while True:
            await asyncio.sleep(BEATS_ASIDE_S)
            now_ms = self._clock.monotonic_ms()
            if now_ms - self._fetched_ms <= self._config.max_poll_interval_ms and now_ms - self._beat_ms >= BEAT_MS:
                try:
                    await self._beat()
                except RequestError:
                    continue  # the next fetch meets it too, and says so

    async def _beat(self, owned: Collection[TopicPartition] | None = None) -> None:
        """Raises: RequestError."""
        self._beat_ms = self._clock.monotonic_ms()
        target = await self.member.heartbeat(owned)
        if target is not None:
            self._target = frozenset(target)

    async def _beat_or_begin_again(self, owned: Collection[TopicPartition] | None = None) -> None:
        assert self._listener is not None, "subscribed"
        try:
            await self._beat(owned)
        except RequestError as error:
            if error.code not in FENCED:
                raise trouble(error, f"group {self.group_id} cannot go on") from error
            lost = list(self._next)
            self._forget(lost)
            await self._listener.lost(lost)
            await self._join()

    async def _settle(self) -> None:
        """Take and give partitions as the group says. Raises: TransportError, and what the listener raises."""
        assert self._listener is not None, "subscribe comes before fetch"
        self._fetched_ms = self._clock.monotonic_ms()
        if self._fetched_ms - self._beat_ms >= BEAT_MS:
            await self._beat_or_begin_again()
        while self._target is not None:
            target, self._target = self._target, None
            going = [partition for partition in self._next if partition not in target]
            if going:
                await self._listener.revoked(going)
                self._forget(going)
            coming = sorted(target.difference(self._next))
            if coming or not self._was_told:
                self._was_told = True
                await self._take(coming)
            if going or coming:
                await self._beat_or_begin_again(list(self._next))

    async def _take(self, coming: Sequence[TopicPartition]) -> None:
        assert self._listener is not None, "subscribed"
        committed = await self.committed(coming) if coming else {}
        for partition in coming:
            start = committed[partition].offset if partition in committed else self._beginning(partition)
            self._next[partition] = max(start, self._node.log_start_offset(partition))
        await self._listener.assigned(coming)

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self._next.pop(partition, None)
            self._told_end.pop(partition, None)
        self._paused.difference_update(partitions)

    def _beginning(self, partition: TopicPartition) -> int:
        return self._node.last_stable_offset(partition) if self._from_latest else 0

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        await self._settle()
        offsets = self._next
        active = [partition for partition in offsets if partition not in self._paused]
        fetched: list[FetchedBatch] = []
        records = 0
        for partition in active:
            if records >= max_records:
                break
            one = await self._read(partition, max_records - records)
            if one is not None:
                fetched.append(one)
                records += len(one.batch)
                offsets[partition] = offsets.pop(partition)  # to the end of the queue
        if fetched or not max_wait_ms:
            return fetched
        await self._wait(active, max_wait_ms)
        return await self.fetch(max_records=max_records, max_wait_ms=0)

    async def _wait(self, active: Sequence[TopicPartition], max_wait_ms: int) -> None:
        """Until one of the partitions has something."""
        if not active:
            await asyncio.sleep(max_wait_ms / 1000)
            return
        waiting = [
            asyncio.ensure_future(
                self._node.read(partition, self._next[partition], max_bytes=1, max_wait_ms=max_wait_ms)
            )
            for partition in active
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            # What they raised will be raised by the next read of the partition.
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _read(self, partition: TopicPartition, max_records: int) -> FetchedBatch | None:
        offset = self._next[partition]
        if offset == self._node.last_stable_offset(partition):
            if self._told_end.get(partition) == offset:
                return None
            self._told_end[partition] = offset
            nothing = Batch(keys=[], values=[], timestamps=[])
            return FetchedBatch(partition=partition, batch=nothing, offsets=[], next_offset=offset, end_offset=offset)
        try:
            one = await read_records(
                self._node, partition, offset, self._config.fetch_bytes, max_records=max_records, max_wait_ms=0
            )
        except RequestError as error:
            if error.code is not ErrorCode.OFFSET_OUT_OF_RANGE:
                raise TransportError(f"{partition} cannot be read: {error}") from error
            self._next[partition] = self._node.log_start_offset(partition)
            self._log.warning(
                "transport.offset_out_of_range", partition=str(partition), offset=offset, reset=self._next[partition]
            )
            return None
        if one.next_offset == offset:
            return None  # an open transaction: its records cannot be read yet
        self._next[partition] = one.next_offset
        if one.next_offset == one.end_offset:
            self._told_end[partition] = one.end_offset
        return one

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        for partition, offset in offsets.items():
            if partition not in self._next:
                raise TransportError(f"{partition} is not assigned")
            self._next[partition] = offset
            self._told_end.pop(partition, None)

    async def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        try:
            found = await self._node.committed_offsets(self.group_id, partitions)
        except RequestError as error:
            raise trouble(error, f"the offsets of group {self.group_id} cannot be read") from error
        return {partition: Committed(one.offset, one.metadata) for partition, one in found.items()}

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        told = {partition: CommittedOffset(one.offset, one.metadata) for partition, one in offsets.items()}
        try:
            await self.member.commit_offsets(told)
        except RequestError as error:
            raise trouble(error, f"group {self.group_id} cannot commit") from error

    async def close(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
            self._beating = None
        self._forget(list(self._next))
        try:
            await self.member.leave()
        except RequestError:
            pass  # it is no member any more, which is what was wanted
