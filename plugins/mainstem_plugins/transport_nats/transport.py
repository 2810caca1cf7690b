"""Topics on a NATS server. See `api.transport.Transport`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from nats.js.kv import KeyValue

from mainstem.api.context import PluginContext
from mainstem.api.transport import FetchedBatch, TransactionalProducer, TransportError, TransportTraits
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_nats import NatsConfig
from mainstem_plugins.transport_nats.connection import NatsConnection
from mainstem_plugins.transport_nats.consumer import NatsConsumer
from mainstem_plugins.transport_nats.group import NatsGroup, partition_at, place_of
from mainstem_plugins.transport_nats.log import Place
from mainstem_plugins.transport_nats.packed import Packed, fetched
from mainstem_plugins.transport_nats.producer import NatsProducer
from mainstem_plugins.transport_nats.topics import Topics, open_bucket

PLACES_MAX = 1_000
LOOK_S = 0.05


class NatsTransport:
    traits = TransportTraits(has_groups=True, transactions=None, is_durable=True, is_dense=True, compacts=False)

    def __init__(self, config: NatsConfig, context: PluginContext, address: str) -> None:
        self._connection = NatsConnection(config, context, address)
        self._topics = Topics(self._connection)
        self._groups: KeyValue | None = None
        self._places: dict[str, Place] = {}

    async def open(self) -> None:
        await self._connection.open()
        await self._topics.open()
        self._groups = await open_bucket(self._connection, f"{self._connection.config.prefix}-groups")

    async def partition_count(self, topic: str) -> int | None:
        found = await self._topics.find(topic)
        return None if found is None else found.partitions

    async def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        await self._topics.create(topic, partitions, configs)

    async def delete_topic(self, topic: str) -> None:
        await self._topics.delete(topic)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        for partition, offset in before.items():
            entry = await self._topics.get(partition.topic)
            await self._topics.log(partition, entry).delete_before(offset)

    async def end_offsets(self, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
        return {log.partition: await log.bounds() for log in await self._topics.logs(topic)}

    async def offsets_for_time(self, topic: str, timestamp: int) -> Mapping[TopicPartition, int]:
        return {log.partition: await log.offset_for_time(timestamp) for log in await self._topics.logs(topic)}

    def _group(self, group_id: str) -> NatsGroup:
        assert self._groups is not None, "opened before use"
        return NatsGroup(self._connection, self._groups, group_id)

    async def group_offsets(self, group_id: str) -> Mapping[TopicPartition, int]:
        """Those of topics that were deleted are not among them."""
        found: dict[TopicPartition, int] = {}
        for place, (offset, _) in (await self._group(group_id).read()).committed.items():
            partition = partition_at(place)
            entry = await self._topics.find(partition.topic)
            if entry is not None and place_of(partition, entry) == place:
                found[partition] = offset
        return found

    async def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        places: dict[str, int] = {}
        for partition, offset in offsets.items():
            entry = await self._topics.get(partition.topic)
            if offset < 0 or not 0 <= partition.partition < entry.partitions:
                raise TransportError(f"group {group_id} cannot be moved: {partition} has no offset {offset}")
            places[place_of(partition, entry)] = offset
        group = self._group(group_id)
        await group.put_out_the_silent()
        await group.set_offsets(places)

    async def read(self, partition: TopicPartition, offset: int, *, max_records: int, max_wait_ms: int) -> FetchedBatch:
        """Message by message; whoever reads on where it was needs no search."""
        ends_ms = self._connection.clock.monotonic_ms() + max_wait_ms
        entry = await self._topics.get(partition.topic)
        log = self._topics.log(partition, entry)
        known = self._places.pop(log.stream, None)
        place = known if known is not None and known.offset == offset else await log.place(offset)
        parts: list[Packed] = []
        start = next_offset = place.offset
        sequence, records, is_end = place.sequence, 0, False
        while records < max_records:
            stored = await log.at(sequence)
            if stored is None:
                is_end = True
                if records or self._connection.clock.monotonic_ms() >= ends_ms:
                    break
                await asyncio.sleep(LOOK_S)
                continue
            packed = stored.packed
            begin = max(next_offset, packed.first)
            next_offset = min(packed.end, begin + max_records - records)
            if not parts:
                start = begin
            parts.append(packed)
            records += next_offset - begin
            sequence = stored.sequence + (next_offset == packed.end)
            is_end = False
        if len(self._places) >= PLACES_MAX:
            del self._places[next(iter(self._places))]
        self._places[log.stream] = Place(sequence, next_offset, 0)
        return fetched(partition, parts, start, next_offset, next_offset if is_end else next_offset + 1)

    def consumer(self, group_id: str, *, from_latest: bool = False) -> NatsConsumer:
        return NatsConsumer(self._connection, self._topics, self._group(group_id), from_latest=from_latest)

    def producer(self) -> NatsProducer:
        return NatsProducer(self._connection, self._topics)

    def transactional_producer(self, transactional_id: str) -> TransactionalProducer:
        raise TransportError("nats:// has no transactions: JetStream stores each message by itself")

    async def close(self) -> None:
        await self._connection.close()
