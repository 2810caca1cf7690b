"""Topics in Redis. See `api.transport.Transport`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.transport import FetchedBatch, TransportError, TransportTraits
from mainstem.api.transport_rules import cleanup_policy
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import topic_name_problem
from mainstem_plugins.transport_redis import RedisConfig
from mainstem_plugins.transport_redis.cleaning import COMPACT_FROM_RECORDS, Cleaner
from mainstem_plugins.transport_redis.client import RedisClient
from mainstem_plugins.transport_redis.consumer import RedisConsumer
from mainstem_plugins.transport_redis.group import read_committed
from mainstem_plugins.transport_redis.keys import offsets_key, partition_at, place_of, stream_key, topic_key
from mainstem_plugins.transport_redis.outgoing import Appends
from mainstem_plugins.transport_redis.producer import RedisProducer
from mainstem_plugins.transport_redis.reading import Cursor, read_on, wait_for_news
from mainstem_plugins.transport_redis.topics import Topics
from mainstem_plugins.transport_redis.transactions import RedisTransactions

PARTITIONS_MAX = 10_000
READERS_MAX = 32
# Configs of topics that mean something here, their fields, and what they are if they are not given.
_NUMBERS = {
    "retention.ms": ("retention_ms", None),
    "retention.bytes": ("retention_bytes", None),
    "delete.retention.ms": ("delete_retention_ms", 86_400_000),
    "min.compaction.lag.ms": ("compaction_lag_ms", 0),
}


class RedisTransport:
    traits = TransportTraits(has_groups=True, transactions="v2", is_durable=True, is_dense=True, compacts=True)

    def __init__(self, config: RedisConfig, context: PluginContext, address: str) -> None:
        self._config = config
        self._context = context
        self._client = RedisClient(config, context, address)
        self._topics = Topics(self._client)
        self._cleaner = Cleaner(self._client, context.log)
        self._appends = Appends(self._client, self._topics, self._cleaner)
        self._readers: dict[TopicPartition, Cursor] = {}

    async def open(self) -> None:
        await self._client.open()

    async def partition_count(self, topic: str) -> int | None:
        found = await self._client.command("HGET", topic_key(self._client.base, topic), "partitions")
        return None if found is None else int(found)

    async def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        problem = topic_name_problem(topic)
        if problem is not None:
            raise TransportError(problem)
        if not 1 <= partitions <= PARTITIONS_MAX:
            raise TransportError(
                f"topic {topic} cannot be created: partitions is {partitions}, at least 1 and at most {PARTITIONS_MAX} "
                "are possible"
            )
        base = self._client.base
        fields = _fields(topic, configs)
        await self._client.run(
            "topic_create",
            [topic_key(base, topic), f"{base}ids"],
            [base, topic, partitions, COMPACT_FROM_RECORDS, *fields],
        )
        self._topics.forget(topic)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Whole entries: of one that has records on both sides all stay."""
        for partition, offset in before.items():
            keys = [topic_key(self._client.base, partition.topic), stream_key(self._client.base, partition)]
            answer = int(await self._client.run("records_delete", keys, [partition.partition, offset]))
            if answer == 0:
                raise TransportError(f"{partition} does not exist")
            if answer < 0:
                raise TransportError(f"{partition} cannot be cut at offset {offset}: it ends before that")

    async def delete_topic(self, topic: str) -> None:
        base = self._client.base
        await self._client.run("topic_delete", [topic_key(base, topic)], [base, topic])
        self._topics.forget(topic)

    async def end_offsets(self, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
        found = await self._client.command("HGETALL", topic_key(self._client.base, topic))
        if not found:
            raise TransportError(f"topic {topic} does not exist")
        return {
            TopicPartition(topic, number): (int(found[b"start:%d" % number]), int(found[b"end:%d" % number]))
            for number in range(int(found[b"partitions"]))
        }

    async def offsets_for_time(self, topic: str, timestamp: int) -> Mapping[TopicPartition, int]:
        return {
            partition: await self._offset_for_time(partition, start, end, timestamp)
            for partition, (start, end) in (await self.end_offsets(topic)).items()
        }

    async def _offset_for_time(self, partition: TopicPartition, start: int, end: int, timestamp: int) -> int:
        keys = [topic_key(self._client.base, partition.topic), stream_key(self._client.base, partition)]
        cursor = Cursor(int(await self._client.run("time_find", keys, [partition.partition, timestamp])))
        while cursor.position < end:
            await read_on(self._client, {partition: cursor})
            one = cursor.take(partition, 1_000)
            for offset, time in zip(one.offsets, one.batch.timestamps, strict=True):
                if time >= timestamp:
                    return offset
            if not one.offsets:
                break
        return end

    async def group_offsets(self, group_id: str) -> Mapping[TopicPartition, int]:
        found = await self._client.command("HGETALL", offsets_key(self._client.base, group_id))
        return {partition_at(place): read_committed(text).offset for place, text in found.items()}

    async def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        arguments: list[Any] = [self._client.base, group_id]
        for partition, offset in offsets.items():
            if offset < 0:
                raise TransportError(f"{partition}: offset {offset} is negative")
            arguments += [place_of(partition), offset, ""]
        answer = await self._client.run("group_move", [], arguments)
        if answer == b"members":
            raise TransportError(f"group {group_id} has members; stop them first")
        if answer:
            raise TransportError(f"{partition_at(answer)} does not exist")

    async def read(self, partition: TopicPartition, offset: int, *, max_records: int, max_wait_ms: int) -> FetchedBatch:
        ends_ms = self._context.clock.monotonic_ms() + max_wait_ms
        cursor = self._readers.pop(partition, None)
        if cursor is None:
            cursor = Cursor(offset)
        elif cursor.position != offset:
            cursor.move(offset)
        topic_id = (await read_on(self._client, {partition: cursor}))[partition]
        if cursor.topic_id != topic_id:  # it was deleted, and maybe made again, since the last read
            cursor = Cursor(offset)
            topic_id = (await read_on(self._client, {partition: cursor}))[partition]
        if topic_id is None or cursor.topic_id is None:
            raise TransportError(f"{partition} does not exist")
        if not 0 <= offset <= cursor.end:
            raise TransportError(f"{partition} cannot be read at offset {offset}: it ends at {cursor.end}")
        left_ms = ends_ms - self._context.clock.monotonic_ms()
        while cursor.is_empty and cursor.position == offset and left_ms > 0:
            await wait_for_news(self._client, {partition: cursor}, None, left_ms)
            await read_on(self._client, {partition: cursor})
            left_ms = ends_ms - self._context.clock.monotonic_ms()
        fetched = cursor.take(partition, max_records)
        if len(self._readers) >= READERS_MAX:
            del self._readers[next(iter(self._readers))]
        self._readers[partition] = cursor
        return fetched

    def consumer(self, group_id: str, *, from_latest: bool = False) -> RedisConsumer:
        return RedisConsumer(self._config, self._context, self._client, self._topics, group_id, from_latest=from_latest)

    def producer(self) -> RedisProducer:
        return RedisProducer(self._config, self._client, self._appends)

    def transactional_producer(self, transactional_id: str) -> RedisTransactions:
        return RedisTransactions(self._config, self._client, self._appends, transactional_id)

    async def close(self) -> None:
        await self._cleaner.close()
        await self._client.close()


def _fields(topic: str, configs: Mapping[str, str]) -> list[Any]:
    """Raises: TransportError."""
    policy = cleanup_policy(topic, configs)
    fields: list[Any] = ["compact", int("compact" in policy), "configs", msgspec.json.encode(dict(configs))]
    for name, (field, default) in _NUMBERS.items():
        text = configs.get(name, "" if default is None else str(default))
        if text in ("", "-1") or (name.startswith("retention.") and "delete" not in policy):
            continue  # there is no limit
        if not text.isdecimal():
            raise TransportError(f"topic {topic} cannot be created: {name} {text!r} is no number")
        fields += [field, text]
    return fields
