"""Faust's consumer over a transport of pipelines: batches in, slices into the channels' queues, positions by watermark.

One task reads, another delivers. What reading begins anew means (`seek`) is done between two fetches; until then everything of that
partition that still arrives is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage
from mode import Service
from mode.utils.futures import notify

from mainstem.api.transport import Committed, FetchedBatch, NotMember, TransportConsumer, TransportError
from mainstem.faust.acks import UnackedMessages
from mainstem.faust.delivery import PartitionDelivery
from mainstem.faust.following import Followers
from mainstem.faust.membership import Membership
from mainstem.faust.pausing import PausedPartitions
from mainstem.faust.records import event_class
from mainstem.faust.topics import TopicCounts
from mainstem.model.ids import TopicPartition

FETCH_RECORDS = 8_192
IDLE_WAIT_MS = 200
REBALANCING_WAIT_MS = 20
ALL_PAUSED_WAIT_S = 1.0


class Consumer(FaustConsumer):
    """`deliveries`: one for each partition of the current generation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Rule: whoever is asked what is unacknowledged must not have been told of each event.
        self._unacked_messages = UnackedMessages()
        self.deliveries: dict[TP, PartitionDelivery] = {}
        self.source: TransportConsumer | None = None
        self.counts: TopicCounts = self.transport.counts  # type: ignore[attr-defined]
        self.membership = Membership(self)
        self.followers = Followers(self)
        self._topics: frozenset[str] | None = None
        self._subscribed: frozenset[str] = frozenset()
        self._seeks: dict[TP, int] = {}
        self._paused = PausedPartitions(self)
        self._ends: dict[TP, int] = {}
        self._starts: dict[TP, int] = {}
        self._positions: dict[TP, int] = {}
        self._read_wake = asyncio.Event()
        self._deliver_wake = asyncio.Event()
        self._commit_wake = asyncio.Event()
        self._has_stopped_reading = asyncio.Event()
        self._events = event_class(self.app)

    # Starting and stopping

    async def on_start(self) -> None:
        await self.transport.acquire()  # type: ignore[attr-defined]

    async def on_stop(self) -> None:
        await super().on_stop()
        self.wake()
        await self.followers.close()
        await self._has_stopped_reading.wait()
        if self.source is not None:
            await self.source.close()
            self.source = None
        await self.transport.release()  # type: ignore[attr-defined]

    async def on_restart(self) -> None:
        await super().on_restart()
        self._has_stopped_reading.clear()
        self._subscribed = frozenset()

    def close(self) -> None:
        self.wake()

    # Reading

    def wake(self) -> None:
        """Something has changed: flow, room in a queue, subscriptions, what is paused."""
        self._read_wake.set()
        self._deliver_wake.set()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Returns before the rebalance: Faust's callbacks of a rebalance wait for this to have returned."""
        self._topics = frozenset(topics)
        self.wake()

    @Service.task
    async def _reading(self) -> None:
        try:
            while not self.should_stop:
                if self._topics is None:
                    await self.wait_to_read()
                elif self._topics != self._subscribed:
                    await self._resubscribe(self._topics)
                elif self.source is None:
                    await self.wait_to_read()
                else:
                    await self._read_once(self.source)
        finally:
            self._has_stopped_reading.set()

    async def wait_to_read(self, timeout_s: float = ALL_PAUSED_WAIT_S) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._read_wake.wait()
        except TimeoutError:
            pass
        self._read_wake.clear()

    async def _resubscribe(self, topics: frozenset[str]) -> None:
        """A new member with new topics takes the old one's place; what was assigned is revoked, and so committed, first."""
        await self.counts.ensure(topics)
        if self.app.client_only:
            await self.membership.follow_only(topics)
            self._subscribed = topics
            return
        if self.source is not None:
            await self.membership.revoked([TopicPartition(*tp) for tp in sorted(self.membership.owned)])
            await self.source.close()
        self._subscribed = topics
        self._paused.clear()
        self._seeks.clear()
        from_latest = self.app.conf.consumer_auto_offset_reset == "latest"
        self.source = self.transport.session.transport.consumer(  # type: ignore[attr-defined]
            self.app.conf.id, from_latest=from_latest
        )
        await self.source.subscribe(sorted(topics), self.membership)

    async def _read_once(self, source: TransportConsumer) -> None:
        if self._seeks:
            seeks, self._seeks = self._seeks, {}
            await source.seek({TopicPartition(*tp): at for tp, at in seeks.items() if tp in self.membership.owned})
        await self._paused.wait_for_room()
        self._paused.update(source)
        wait_ms = REBALANCING_WAIT_MS if self.app.rebalancing else IDLE_WAIT_MS
        if self._paused.is_everything:
            await self.wait_to_read(wait_ms / 1000)
            wait_ms = 0  # members that do not fetch are put out of their group
        fetched = await source.fetch(max_records=FETCH_RECORDS, max_wait_ms=wait_ms)
        await self.membership.settle()
        for one in fetched:
            self.hold(one)

    def hold(self, fetched: FetchedBatch) -> None:
        tp = TP(*fetched.partition)
        delivery = self.deliveries.get(tp)
        if delivery is None or tp in self._seeks:
            return
        self._ends[tp] = fetched.end_offset
        self.app.monitor.track_tp_end_offset(tp, fetched.end_offset)
        delivery.hold(fetched)
        self._deliver_wake.set()

    def is_delivered(self, tp: TP) -> bool:
        """Not paused by the app, and not waiting for the end of a rebalance."""
        return tp in self._active_partitions and (not self.app.rebalancing or self._is_changelog_tp(tp))

    # Delivering

    @Service.task
    async def _delivering(self) -> None:
        while not self.should_stop:
            await self._deliver_wake.wait()
            self._deliver_wake.clear()
            while await self._deliver_round():  # noqa: ASYNC110 - the streams' turn, not a wait for something
                await asyncio.sleep(0)

    async def _deliver_round(self) -> int:
        """Source partitions wait while the app rebalances: at its end Faust empties every queue after it has sought."""
        app, delivered = self.app, 0
        for tp, delivery in list(self.deliveries.items()):
            if not delivery.held:
                continue
            if not self.flow_active or not app.flow_control.is_active() or self.should_stop:
                return 0
            if tp not in self._active_partitions or delivery.generation_id != app.consumer_generation_id:
                continue
            is_changelog = self._is_changelog_tp(tp)
            if app.rebalancing and not is_changelog:
                continue
            await app.producer.wait_for_room()  # type: ignore[attr-defined]
            was_full = delivery.is_full
            count = await delivery.deliver()
            delivered += count
            if (was_full and not delivery.is_full) or (tp in self._paused and delivery.has_room):
                self._read_wake.set()
            if is_changelog:
                read_to = None if delivery.held else delivery.read_to
                app.tables.recovery.delivered(tp, read_to)  # type: ignore[attr-defined]
        if self._commit_every is not None and self._count_acked() >= self._commit_every:
            self._commit_wake.set()
        return delivered

    def _count_acked(self) -> int:
        return sum(one.acks.count for one in self.deliveries.values())

    @Service.task
    async def _committing_every(self) -> None:
        """`broker_commit_every`, without holding up delivery."""
        while not self.should_stop:
            await self._commit_wake.wait()
            self._commit_wake.clear()
            for one in self.deliveries.values():
                one.acks.count = 0
            await self.commit()

    async def _drain_messages(self, fetcher: Any) -> None:
        """The consumer's own tasks do it; the fetcher only has to live as long as Faust wants it to."""
        await fetcher.wait_until_stopped()

    def resume_flow(self) -> None:
        super().resume_flow()
        self.wake()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions(tps)
        self.wake()

    # Acknowledgements and positions

    def ack(self, message: Any) -> bool:
        """For whoever has a message in hand. Agents' streams do the same without this call."""
        if message.acked:
            return False
        message.acked = True
        acks = getattr(message, "acks", None)
        self._unacked_messages.discard(message)
        is_first = acks is not None and acks.ack(message.offset)
        notify(self._waiting_for_ack)
        return is_first

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        enabled = self.app.topics.acks_enabled_for
        return (
            tp for tp in self.deliveries if enabled(tp.topic) and (topics is None or tp in topics or tp.topic in topics)
        )

    def _new_offset(self, tp: TP) -> int | None:
        delivery = self.deliveries.get(tp)
        return None if delivery is None else delivery.acks.position()

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        if not self.in_transaction:
            return await super().force_commit(topics, start_new_transaction)  # type: ignore[no-any-return]
        transactions: Any = self.transactions
        async with transactions.quiet(self) as is_quiet:
            if not is_quiet:
                return False
            did_commit = await super().force_commit(None, start_new_transaction)
            if not did_commit:  # timers and web views send too, and no position moves
                did_commit = await self.transactions.commit({}, start_new_transaction)
            return bool(did_commit)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        if self.source is None:
            return False
        mine = {tp: at for tp, at in offsets.items() if tp in self.membership.owned}
        if not mine:
            return False
        try:
            await self.source.commit({TopicPartition(*tp): Committed(at) for tp, at in mine.items()})
        except NotMember as error:
            self.log.warning("Not committed, will be read again by whoever has the partitions now: %s", error)
            return False
        self.remember_committed(mine)
        return True

    def remember_committed(self, committed: Mapping[TP, int]) -> None:
        """What the group has in the partitions that were just assigned, or what was just committed."""
        self._positions.update(committed)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Really goes back, because everything in the queues is thrown away next. Changelogs stay where recovery put them.

        Partitions without a commit go back to where they were begun, and have None in the answer.
        """
        found: dict[TP, Any] = {}
        for tp in self.membership.owned:
            if self._is_changelog_tp(tp):
                continue
            committed = found[tp] = self._positions.get(tp)
            origin = self.deliveries[tp].origin
            if committed is not None:
                self._begin_at(tp, committed)
            elif origin is not None:
                self._begin_at(tp, origin)
            else:
                self.deliveries[tp].forget()
        self.wake()
        return found

    def _begin_at(self, tp: TP, offset: int) -> None:
        offset = max(offset, self._starts.get(tp, 0))
        self.deliveries[tp].forget()
        if tp in self.membership.owned:
            self._seeks[tp] = offset
        else:
            self.followers.seek(tp, offset)

    async def _seek(self, partition: TP, offset: int) -> None:
        if partition in self.deliveries:
            self._begin_at(partition, offset)
            self.wake()

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            await self.seek(tp, offset)

    # What Faust asks

    def assignment(self) -> set[TP]:
        return set(self.deliveries)

    def new_generation(self, generation_id: int, partitions: Iterable[TP]) -> None:
        """Everything that was delivered belongs to the generation before."""
        self.deliveries = {}
        self.add_deliveries(generation_id, partitions)
        self._paused.forget_others(self.deliveries)

    def add_deliveries(self, generation_id: int, partitions: Iterable[TP]) -> None:
        for tp in sorted(partitions):
            self.deliveries[tp] = PartitionDelivery(self.app, tp, generation_id, self._events, self.wake)

    def forget(self, partitions: Iterable[TP]) -> None:
        for tp in partitions:
            self.deliveries.pop(tp, None)
            self._positions.pop(tp, None)
            self._seeks.pop(tp, None)
            self._paused.forget(tp)

    def watch(self, stream: Any) -> None:
        self._unacked_messages.watch(stream)  # type: ignore[attr-defined]

    def highwater(self, tp: TP) -> int:
        return self._ends.get(tp, 0)

    def topic_partitions(self, topic: str) -> int | None:
        return self.counts.known(topic)

    async def position(self, tp: TP) -> int | None:
        delivery = self.deliveries.get(tp)
        return None if delivery is None else delivery.read_to

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        found = {tp: bounds[0] for tp, bounds in (await self._bounds(partitions)).items()}
        self._starts.update(found)
        return found

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return {tp: bounds[1] for tp, bounds in (await self._bounds(partitions)).items()}

    async def _bounds(self, partitions: Iterable[TP]) -> dict[TP, tuple[int, int]]:
        wanted, found = set(partitions), {}
        for topic in {tp.topic for tp in wanted}:
            ends = await self.transport.session.transport.end_offsets(topic)  # type: ignore[attr-defined]
            found.update({TP(*one): bounds for one, bounds in ends.items() if TP(*one) in wanted})
        return found

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        return partition if partition is not None else self.app.producer.key_partition(topic, key).partition  # type: ignore[arg-type]

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        await self.app.producer.create_topic(topic, partitions, replication, **options)

    # What only stock code would call

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's name
        raise TransportError("this consumer delivers by itself, nobody has to ask it for records")

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        raise TransportError("this consumer delivers by itself, nobody has to ask it for records")
