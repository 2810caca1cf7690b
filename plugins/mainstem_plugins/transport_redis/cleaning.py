"""Compaction, done by whoever's append found it due: a partition's last record of each key goes to a stream beside it, which
then takes its place.

Records keep their offsets, entries their order. A tombstone goes `delete.retention.ms` after the first cleaning that saw it,
and what is younger than `min.compaction.lag.ms` stays as it is, as in Kafka.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from mainstem.api.context import Log
from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_redis.client import RedisClient
from mainstem_plugins.transport_redis.entries import RECORDS_MAX, Entry, Packed, id_of, pack, unpack
from mainstem_plugins.transport_redis.keys import place_of, stream_key, topic_key

COMPACT_FROM_RECORDS = 10_000
LOCK_MS = 60_000
READ_ENTRIES = 16
COPY_ENTRIES = 64
DELETE_RETENTION_MS = 86_400_000


class Cleaner:
    """One task for each partition that is being cleaned. Owned by the transport."""

    def __init__(self, client: RedisClient, log: Log) -> None:
        self._client = client
        self._log = log
        self._running: dict[TopicPartition, asyncio.Task[None]] = {}

    def start(self, partition: TopicPartition) -> None:
        if partition not in self._running:
            self._running[partition] = asyncio.create_task(self._clean(partition))

    async def _clean(self, partition: TopicPartition) -> None:
        try:
            await clean(self._client, partition)
        except TransportError as error:
            # Nothing is lost: the old stream is there until the new one takes its place.
            self._log.warning("redis.compaction_failed", topic=partition.topic, error=str(error))
        finally:
            del self._running[partition]

    async def settle(self) -> None:
        """Until nothing is being cleaned."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await self.settle()


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """`end`: where what is cleaned ends. `now_ms` by the server's clock."""

    partition: TopicPartition
    topic: str
    stream: str
    lock: str
    cleaned: str
    token: str
    end: int
    topic_id: bytes
    now_ms: int
    delete_retention_ms: int


async def clean(client: RedisClient, partition: TopicPartition) -> bool:
    """Whether the partition was compacted: not if there is too little to do, or somebody else does it.

    Raises: TransportError.
    """
    token, place = uuid.uuid4().hex, place_of(partition)
    topic, stream = topic_key(client.base, partition.topic), stream_key(client.base, partition)
    lock = f"{client.base}cleaning:{place}"
    answer = await client.run(
        "clean_begin", [topic, stream, lock], [partition.partition, token, LOCK_MS, COMPACT_FROM_RECORDS]
    )
    if not answer:
        return False
    retention = await client.command("HGET", topic, "delete_retention_ms")
    job = _Job(
        partition=partition, topic=topic, stream=stream, lock=lock, cleaned=f"{client.base}cleaned:{place}:{token}",
        token=token, end=int(answer[0]), topic_id=answer[1], now_ms=int(answer[2]),
        delete_retention_ms=DELETE_RETENTION_MS if retention is None else int(retention),
    )  # fmt: skip
    written = _Written()
    last: dict[bytes | None, int] = {}
    async for entry in _entries(client, job):
        last.update(zip(entry.packed.keys, entry.offsets, strict=True))
    merged: Entry | None = None
    async for entry in _entries(client, job):
        kept = _kept(entry, last, job)
        if merged is not None and len(merged.offsets) + len(kept.offsets) > RECORDS_MAX:
            await _write(client, job, merged, written)
            merged = None
        merged = kept if merged is None else _merged(merged, kept)
    if merged is not None:
        await _write(client, job, merged, written)
    return not written.is_lost and await _swap(client, job, written)


class _Written(msgspec.Struct):
    records: int = 0
    size: int = 0
    is_lost: bool = False


async def _entries(client: RedisClient, job: _Job) -> AsyncIterator[Entry]:
    position = 0
    while position < job.end:
        found = await client.command("XRANGE", job.stream, f"({id_of(position)}", id_of(job.end), "COUNT", READ_ENTRIES)
        if not found:
            return
        for id_, fields in found:
            entry = unpack(job.partition, id_, fields)
            position = entry.end
            yield entry


def _kept(entry: Entry, last: dict[bytes | None, int], job: _Job) -> Entry:
    packed, places, tombstones = entry.packed, [], {}
    seen = packed.tombstones or {}
    for place, (key, offset) in enumerate(zip(packed.keys, entry.offsets, strict=True)):
        if last[key] != offset:
            continue
        if packed.values[place] is None:
            if offset in seen and job.now_ms - seen[offset] >= job.delete_retention_ms:
                continue
            tombstones[offset] = seen.get(offset, job.now_ms)
        places.append(place)
    offsets = [entry.offsets[place] for place in places]
    return Entry(
        end=entry.end,
        newest=entry.newest,
        appended_ms=entry.appended_ms,
        offsets=offsets,
        size=0,
        packed=Packed(
            timestamps=[packed.timestamps[place] for place in places],
            keys=[packed.keys[place] for place in places],
            values=[packed.values[place] for place in places],
            headers=None if packed.headers is None else [packed.headers[place] for place in places],
            offsets=offsets,
            tombstones=tombstones,
        ),
    )


def _merged(one: Entry, other: Entry) -> Entry:
    first, second = one.packed, other.packed
    headers: Any = None
    if first.headers is not None or second.headers is not None:
        headers = [*(first.headers or [[]] * len(one.offsets)), *(second.headers or [[]] * len(other.offsets))]
    offsets = [*one.offsets, *other.offsets]
    return Entry(
        end=other.end,
        newest=other.newest,
        appended_ms=other.appended_ms,
        offsets=offsets,
        size=0,
        packed=Packed(
            timestamps=[*first.timestamps, *second.timestamps],
            keys=[*first.keys, *second.keys],
            values=[*first.values, *second.values],
            headers=headers,
            offsets=offsets,
            tombstones={**(first.tombstones or {}), **(second.tombstones or {})},
        ),
    )


async def _write(client: RedisClient, job: _Job, entry: Entry, written: _Written) -> None:
    if not entry.offsets or written.is_lost:
        return
    data = pack(entry.packed)
    words = [job.token, LOCK_MS, id_of(entry.end), entry.newest, entry.appended_ms, data]
    written.is_lost = not await client.run("clean_write", [job.lock, job.cleaned], words)
    written.records += len(entry.offsets)
    written.size += len(data)


async def _swap(client: RedisClient, job: _Job, written: _Written) -> bool:
    copied, size = str(job.end), written.size
    keys = [job.topic, job.stream, job.lock, job.cleaned]
    while True:
        answer = await client.run(
            "clean_swap",
            keys,
            [
                job.partition.partition, job.token, LOCK_MS, job.topic_id, copied, COPY_ENTRIES, job.end,
                written.records, size, COMPACT_FROM_RECORDS,
            ],
        )  # fmt: skip
        if len(answer) == 1:
            return bool(answer[0] == b"done")
        copied, size = answer[0].decode(), int(answer[1])
