"""One member of a group. What stays with it is never revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from mainstem.api.context import PluginContext
from mainstem.api.transport import Committed, FetchedBatch, RebalanceListener, TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_redis import RedisConfig
from mainstem_plugins.transport_redis.client import RedisClient
from mainstem_plugins.transport_redis.group import RedisGroup, Share
from mainstem_plugins.transport_redis.keys import wake_key
from mainstem_plugins.transport_redis.reading import Cursor, read_on, wait_for_news
from mainstem_plugins.transport_redis.topics import Topics

BEATS_A_SESSION = 5


class RedisConsumer:
    """`fetch` serves the partitions in turn, beginning behind the one that was served last. A task beside it keeps the
    lease of the member while `fetch` is called often enough."""

    def __init__(
        self, config: RedisConfig, context: PluginContext, client: RedisClient, topics: Topics, group_id: str, *,
        from_latest: bool,
    ) -> None:  # fmt: skip
        self.group = RedisGroup(client, group_id, config.session_timeout_ms)
        self._config = config
        self._clock = context.clock
        self._log = context.log
        self._client = client
        self._known_topics = topics
        self._from_latest = from_latest
        self._listener: RebalanceListener | None = None
        self._topics: Sequence[str] = ()
        self._version = 0
        self._is_stale = True
        self._was_told = False
        self._fetched_at_ms = context.clock.monotonic_ms()
        self._beating: asyncio.Task[None] | None = None
        self._owned: dict[TopicPartition, Cursor] = {}
        self._paused: set[TopicPartition] = set()

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        for topic in topics:
            self._known_topics.forget(topic)
            await self._known_topics.find(topic)
        self._topics, self._listener = tuple(topics), listener
        await self._join()
        self._beating = asyncio.create_task(self._beat())

    async def _join(self) -> None:
        self._fetched_at_ms = self._clock.monotonic_ms()
        await self.group.join(self._topics)
        self._is_stale = True

    async def _beat(self) -> None:
        """Until the consumer is closed. A member that does not fetch loses its lease."""
        while True:
            await asyncio.sleep(self._config.session_timeout_ms / 1000 / BEATS_A_SESSION)
            if self._clock.monotonic_ms() - self._fetched_at_ms > self._config.max_poll_interval_ms:
                continue
            try:
                version = await self.group.renew()
            except TransportError:
                continue  # the next fetch meets it too, and says so
            if version != self._version:
                self._is_stale = True

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        ends_ms = self._clock.monotonic_ms() + max_wait_ms
        await self._settle()
        await asyncio.sleep(0)  # others get their turn although there is always something to read
        fetched = self._collect(max_records)
        while not fetched:
            await self._read()
            fetched = self._collect(max_records)
            left_ms = ends_ms - self._clock.monotonic_ms()
            if fetched or left_ms <= 0:
                break
            wake = (wake_key(self._client.base, self.group.group_id), self._version)
            reading = {one: cursor for one, cursor in self._owned.items() if one not in self._paused}
            if await wait_for_news(self._client, reading, wake, left_ms):
                self._is_stale = True
            await self._settle()
        return fetched

    async def _settle(self) -> None:
        assert self._listener is not None, "subscribe comes before fetch"
        self._fetched_at_ms = self._clock.monotonic_ms()
        if not self._is_stale:
            return
        self._is_stale = False  # what changes from here on is looked at next time
        found = await self.group.settle()
        if not found.version:
            lost = list(self._owned)
            self._forget(lost)
            await self._listener.lost(lost)
            await self._join()
            self._is_stale = False
            found = await self.group.settle()
        self._version = found.version
        target = {one.partition for one in found.shares}
        going = [partition for partition in self._owned if partition not in target]
        if going:
            await self._listener.revoked(going)
            self._forget(going)
            await self.group.release(going)
        await self._take([one for one in found.shares if one.is_mine])

    async def _take(self, shares: Sequence[Share]) -> None:
        assert self._listener is not None, "subscribe comes before fetch"
        coming = []
        for one in shares:
            cursor = self._owned.get(one.partition)
            if cursor is None:
                coming.append(one.partition)
            elif cursor.topic_id == one.topic_id:
                continue  # otherwise the topic was deleted and made again meanwhile
            self._owned[one.partition] = Cursor(self._beginning(one), one.topic_id, one.end)
        if coming or not self._was_told:
            self._was_told = True
            await self._listener.assigned(coming)

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self._owned.pop(partition, None)
        self._paused.difference_update(partitions)

    def _beginning(self, share: Share) -> int:
        if share.committed is not None and share.committed.offset <= share.end:
            return max(share.committed.offset, share.start)
        return share.end if self._from_latest else share.start

    async def _read(self) -> None:
        reading = {one: cursor for one, cursor in self._owned.items() if cursor.is_empty and one not in self._paused}
        if not reading:
            return
        ids = await read_on(self._client, reading)
        for partition, cursor in reading.items():
            if ids[partition] != cursor.topic_id:
                self._is_stale = True
            elif cursor.position > cursor.end:
                # Redis came back with less than it had acknowledged.
                self._log.warning(
                    "redis.records_lost", topic=partition.topic, partition=partition.partition, end=cursor.end,
                    position=cursor.position,
                )  # fmt: skip
                cursor.move(cursor.end)

    def _collect(self, max_records: int) -> list[FetchedBatch]:
        fetched: list[FetchedBatch] = []
        room = max_records
        for partition, cursor in list(self._owned.items()):
            if room <= 0:
                break
            is_new_end = cursor.position == cursor.end and cursor.told_end != cursor.end
            if partition in self._paused or (cursor.is_empty and not is_new_end):
                continue
            one = cursor.take(partition, room)
            if one.next_offset == one.end_offset:
                cursor.told_end = one.end_offset
            del self._owned[partition]  # to the end of the queue
            self._owned[partition] = cursor
            fetched.append(one)
            room -= len(one.batch)
        return fetched

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        for partition, offset in offsets.items():
            cursor = self._owned.get(partition)
            if cursor is None:
                raise TransportError(f"{partition} is not assigned")
            if offset < 0:
                raise TransportError(f"{partition}: offset {offset} is negative")
            cursor.move(offset)

    async def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        return await self.group.committed(partitions)

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        await self.group.commit(offsets)

    async def close(self) -> None:
        if self._beating is None:
            return
        self._beating.cancel()
        await asyncio.wait([self._beating])
        self._beating = None
        self._owned.clear()
        await self.group.leave()
