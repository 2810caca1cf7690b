"""One member of a group. What stays with it is never revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from mainstem.api.transport import Committed, FetchedBatch, NotMember, RebalanceListener, TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_nats.connection import NatsConnection
from mainstem_plugins.transport_nats.group import GroupState, NatsGroup, place_of, topic_id
from mainstem_plugins.transport_nats.log import PartitionLog, Place
from mainstem_plugins.transport_nats.reader import PartitionReader
from mainstem_plugins.transport_nats.shares import Member
from mainstem_plugins.transport_nats.topics import TopicEntry, Topics

BEATS_A_SESSION = 4
LOOK_MS = 200
"""How often a member that fetches looks at its group."""


class _Seen(msgspec.Struct, frozen=True):
    """How another member's beats stood, and since when, by this process's clock."""

    beats: int
    since_ms: int


class NatsConsumer:
    """`fetch` serves the partitions in turn, beginning behind the one that was served last. A task beside it shows that the
    member lives, while `fetch` is called often enough."""

    def __init__(self, connection: NatsConnection, topics: Topics, group: NatsGroup, *, from_latest: bool) -> None:
        self.group = group
        self._connection = connection
        self._clock = connection.clock
        self._known_topics = topics
        self._from_latest = from_latest
        self._listener: RebalanceListener | None = None
        self._entries: dict[str, TopicEntry] = {}
        self._readers: dict[TopicPartition, PartitionReader] = {}
        self._was_told = False
        self._looked_ms = -LOOK_MS
        self._fetched_ms = self._clock.monotonic_ms()
        self._is_waiting = False
        self._others: dict[str, _Seen] = {}
        self._watched_ms = self._clock.monotonic_ms()
        self._news = asyncio.Event()
        self._order = asyncio.Lock()  # the beating task and `fetch` change the group one after the other
        self._beating: asyncio.Task[None] | None = None

    async def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        for topic in topics:
            self._entries[topic] = await self._known_topics.get(topic)
        self._listener = listener
        async with self._order:
            await self.group.join(self._entries)
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        """Until the consumer is closed."""
        config = self._connection.config
        while True:
            await asyncio.sleep(config.session_timeout_ms / 1000 / BEATS_A_SESSION)
            since_ms = self._clock.monotonic_ms() - self._fetched_ms
            if not self._is_waiting and since_ms > config.max_poll_interval_ms:
                continue  # a member that does not fetch is put out
            try:
                async with self._order:
                    state = await self.group.read()
                    await self.group.beat(self._silent(state))
            except TransportError:
                continue  # the next fetch meets it too, and says so

    def _silent(self, state: GroupState) -> list[str]:
        """Others that have not counted up for a session in which this member looked all the time: after a pause (a server
        that was away, a laptop that slept) counting begins again, for the others may have paused with it."""
        now_ms = self._clock.monotonic_ms()
        session_ms = self._connection.config.session_timeout_ms
        if now_ms - self._watched_ms > 2 * session_ms / BEATS_A_SESSION:
            self._others = {}
        self._watched_ms = now_ms
        self._others = {
            name: self._seen(name, member, now_ms)
            for name, member in state.members.items()
            if name != self.group.member
        }
        return [name for name, seen in self._others.items() if now_ms - seen.since_ms > session_ms]

    def _seen(self, name: str, member: Member, now_ms: int) -> _Seen:
        known = self._others.get(name)
        return known if known is not None and known.beats == member.beats else _Seen(member.beats, now_ms)

    async def fetch(self, *, max_records: int, max_wait_ms: int) -> Sequence[FetchedBatch]:
        ends_ms = self._clock.monotonic_ms() + max_wait_ms
        while True:
            await self._settle()
            await asyncio.sleep(0)  # others get their turn although there is always something to read
            self._news.clear()
            fetched = self._collect(max_records)
            left_ms = ends_ms - self._clock.monotonic_ms()
            if fetched or left_ms <= 0:
                return fetched
            await self._wait(min(left_ms, LOOK_MS))

    async def _wait(self, wait_ms: int) -> None:
        self._is_waiting = True
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self._news.wait()
        except TimeoutError:
            pass
        finally:
            self._is_waiting = False
            self._fetched_ms = self._clock.monotonic_ms()

    async def _settle(self) -> None:
        assert self._listener is not None, "subscribe comes before fetch"
        if self._beating is not None and self._beating.done() and not self._beating.cancelled():
            self._beating.result()  # a bug ended it
        self._fetched_ms = now_ms = self._clock.monotonic_ms()
        if now_ms - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = now_ms
        async with self._order:
            state = await self.group.read()
        if self.group.member not in state.members:
            lost = list(self._readers)
            await self._forget(lost)
            await self._listener.lost(lost)
            async with self._order:
                state = await self.group.join(self._entries)
        await self._follow(state)

    async def _follow(self, state: GroupState) -> None:
        assert self._listener is not None, "subscribed"
        target = {
            TopicPartition(topic, number)
            for topic, entry in self._entries.items()
            for number, name in enumerate(state.target.get(topic_id(topic, entry.incarnation), ()))
            if name == self.group.member
        }
        going = [partition for partition in self._readers if partition not in target]
        if going:
            await self._listener.revoked(going)
            await self._forget(going)
            async with self._order:
                await self.group.release([self._place(partition) for partition in going])
        wanted = {self._place(partition): partition for partition in sorted(target.difference(self._readers))}
        coming: list[TopicPartition] = []
        if wanted:
            try:
                async with self._order:
                    coming = [wanted[place] for place in await self.group.take(list(wanted))]
            except NotMember:
                self._looked_ms -= LOOK_MS  # the next fetch begins again
                return
        if coming or not self._was_told:
            self._was_told = True
            await self._take(coming)

    async def _take(self, coming: Sequence[TopicPartition]) -> None:
        assert self._listener is not None, "subscribed"
        committed = await self.committed(coming)
        for partition in coming:
            log = self._log(partition)
            start, end = await log.bounds()
            if partition in committed and committed[partition].offset <= end:
                begin = max(committed[partition].offset, start)
            else:
                begin = end if self._from_latest else start
            self._readers[partition] = self._reader(log, await log.place(begin))
        await self._listener.assigned(coming)

    def _reader(self, log: PartitionLog, place: Place) -> PartitionReader:
        return PartitionReader(self._connection, log, place, self._news.set)

    def _log(self, partition: TopicPartition) -> PartitionLog:
        return self._known_topics.log(partition, self._entries[partition.topic])

    def _place(self, partition: TopicPartition) -> str:
        return place_of(partition, self._entries[partition.topic])

    async def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            reader = self._readers.pop(partition, None)
            if reader is not None:
                await reader.close()

    def _collect(self, max_records: int) -> list[FetchedBatch]:
        fetched: list[FetchedBatch] = []
        room = max_records
        for partition, reader in list(self._readers.items()):
            if room <= 0:
                break
            if reader.is_paused or not reader.has_news:
                continue
            one = reader.take(room)
            if one is None:
                continue
            del self._readers[partition]  # to the end of the queue
            self._readers[partition] = reader
            fetched.append(one)
            room -= len(one.batch)
        return fetched

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            if partition in self._readers:
                self._readers[partition].is_paused = True

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            if partition in self._readers:
                self._readers[partition].resume()

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        for partition, offset in offsets.items():
            old = self._readers.get(partition)
            if old is None:
                raise TransportError(f"{partition} is not assigned")
            log = self._log(partition)
            self._readers[partition] = new = self._reader(log, await log.place(offset))
            new.is_paused = old.is_paused
            await old.close()

    async def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        if not partitions:
            return {}
        async with self._order:
            found = (await self.group.read()).committed
        places = {partition: self._place(partition) for partition in partitions if partition.topic in self._entries}
        return {partition: Committed(*found[place]) for partition, place in places.items() if place in found}

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        told: dict[str, Committed] = {}
        for partition, one in offsets.items():
            entry = self._entries.get(partition.topic) or await self._known_topics.get(partition.topic)
            told[place_of(partition, entry)] = one
        async with self._order:
            await self.group.commit(told)

    async def close(self) -> None:
        if self._beating is None:
            return
        self._beating.cancel()
        await asyncio.wait([self._beating])
        self._beating = None
        await self._forget(list(self._readers))
        async with self._order:
            await self.group.leave()
