"""Where a reader is in a partition, and what was read ahead of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from mainstem.api.batch import Batch
from mainstem.api.transport import FetchedBatch
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_redis.client import RedisClient
from mainstem_plugins.transport_redis.entries import Entry, Packed, id_of, unpack
from mainstem_plugins.transport_redis.keys import stream_key, topic_key

READ_BYTES = 4 * 1024 * 1024
ENTRIES_FIRST = 4
ENTRIES_MAX = 2_000
BLOCK_MAX_MS = 5_000


class Cursor:
    """`position` is the next offset to give out, `end` the partition's as far as known, `topic_id` the topic it reads."""

    def __init__(self, position: int, topic_id: bytes | None = None, end: int = 0) -> None:
        self.position = position
        self.topic_id = topic_id
        self.end = end
        self.told_end = -1
        self._entries: deque[Entry] = deque()
        self._place = 0  # in the first entry
        self._mean_bytes = READ_BYTES // ENTRIES_FIRST

    @property
    def is_empty(self) -> bool:
        return not self._entries

    @property
    def entries_wanted(self) -> int:
        return max(1, min(ENTRIES_MAX, READ_BYTES // max(1, self._mean_bytes)))

    def move(self, position: int) -> None:
        self.position = position
        self.told_end = -1
        self._entries.clear()
        self._place = 0

    def add(self, entries: list[Entry], end: int) -> None:
        """What comes next. If it is less than was wanted there is nothing behind it: compaction may have taken the last."""
        self.end = end
        is_all = len(entries) < self.entries_wanted
        if entries:
            self._mean_bytes = sum(entry.size for entry in entries) // len(entries)
            self._entries.extend(entries)
            self._skip()
        if is_all and self._entries:
            self._entries[-1].end = end
        elif is_all:
            self.position = max(self.position, end)

    def _skip(self) -> None:
        """What lies before the position: an entry is read as a whole."""
        while self._entries:
            first = self._entries[0]
            while self._place < len(first.offsets) and first.offsets[self._place] < self.position:
                self._place += 1
            if self._place < len(first.offsets):
                return
            self._entries.popleft()
            self._place = 0

    def take(self, partition: TopicPartition, room: int) -> FetchedBatch:
        """At most `room` records from the position on, which moves behind them."""
        parts: list[Packed] = []
        offsets: list[int] = []
        while self._entries and len(offsets) < room:
            entry, first = self._entries[0], self._place
            last = min(len(entry.offsets), first + room - len(offsets))
            parts.append(_part(entry.packed, first, last))
            offsets.extend(entry.offsets[first:last])
            self._place = last
            self.position = offsets[-1] + 1
            if last == len(entry.offsets):
                self.position = entry.end
                self._entries.popleft()
                self._place = 0
        return FetchedBatch(
            partition=partition, batch=_batch(parts), offsets=offsets, next_offset=self.position,
            end_offset=max(self.end, self.position),
        )  # fmt: skip


def _part(packed: Packed, first: int, last: int) -> Packed:
    if first == 0 and last == len(packed.values):
        return packed
    return Packed(
        timestamps=packed.timestamps[first:last],
        keys=packed.keys[first:last],
        values=packed.values[first:last],
        headers=None if packed.headers is None else packed.headers[first:last],
    )


def _batch(parts: list[Packed]) -> Batch:
    if len(parts) == 1:
        [one] = parts
        headers: Any = one.headers if one.headers is not None and any(one.headers) else None
        return Batch(keys=one.keys, values=one.values, timestamps=one.timestamps, headers=headers)
    batch = Batch(keys=[], values=[], timestamps=[])
    for one in parts:
        if batch.headers is None and one.headers is not None and any(one.headers):
            batch.headers = [()] * len(batch)
        if batch.headers is not None:
            batch.headers.extend(one.headers if one.headers is not None else [()] * len(one.values))
        batch.keys.extend(one.keys)
        batch.values.extend(one.values)
        batch.timestamps.extend(one.timestamps)
    return batch


async def read_on(client: RedisClient, cursors: Mapping[TopicPartition, Cursor]) -> dict[TopicPartition, bytes | None]:
    """Fill the cursors that have nothing left, all at one instant. Returns the ids of the topics as they are now; a cursor of
    another one, or one that is behind the end, stays as it is.

    Raises: TransportError.
    """
    commands: list[tuple[Any, ...]] = [
        ("HMGET", topic_key(client.base, partition.topic), "id", f"end:{partition.partition}") for partition in cursors
    ]
    empty = {partition: cursor for partition, cursor in cursors.items() if cursor.is_empty}
    for partition, cursor in empty.items():
        begin, count = f"({id_of(cursor.position)}", cursor.entries_wanted
        commands.append(("XRANGE", stream_key(client.base, partition), begin, "+", "COUNT", count))
    answers = iter(await client.commands(commands))
    known = dict(zip(cursors, answers, strict=False))
    for partition, cursor in cursors.items():
        topic_id, end = known[partition]
        found = next(answers) if partition in empty else None
        if topic_id is None or end is None or cursor.topic_id not in (None, topic_id):
            continue
        cursor.topic_id, cursor.end = topic_id, int(end)
        if found is not None and cursor.position <= cursor.end:
            entries = [unpack(partition, id_, fields) for id_, fields in found]
            cursor.add(entries, int(end))
    return {partition: topic_id for partition, (topic_id, _) in known.items()}


async def wait_for_news(
    client: RedisClient, cursors: Mapping[TopicPartition, Cursor], wake: tuple[str, int] | None, wait_ms: int
) -> bool:
    """Until a partition has more than was read, the group has another version than `wake` says, or the time is over; a few
    seconds at most. Returns whether the version is another one. Raises: TransportError."""
    keys = [stream_key(client.base, partition) for partition in cursors]
    ids = [id_of(cursor.position) for cursor in cursors.values()]
    if wake is not None:
        keys.append(wake[0])
        ids.append(id_of(wake[1]))
    block_ms = max(1, min(wait_ms, BLOCK_MAX_MS, int(client.timeout_s * 500)))
    found = await client.command("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", *keys, *ids)
    return wake is not None and any(key == wake[0].encode() for key, _ in found or ())
