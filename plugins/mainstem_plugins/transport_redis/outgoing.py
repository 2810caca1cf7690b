"""Records on their way to Redis: small batches of a partition are joined, so that an entry holds many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from mainstem.api.batch import Batch
from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_redis.cleaning import Cleaner
from mainstem_plugins.transport_redis.client import RedisClient
from mainstem_plugins.transport_redis.entries import RECORDS_MAX, Packed, pack, pieces
from mainstem_plugins.transport_redis.keys import stream_key, topic_key
from mainstem_plugins.transport_redis.topics import Topics

CALL_BYTES = 4 * 1024 * 1024


class Item(msgspec.Struct, kw_only=True, eq=False):
    """Records of one entry. `told` gets the offset behind them."""

    partition: TopicPartition
    batch: Batch
    size: int
    told: asyncio.Future[int] | None = None


class Outgoing:
    """A queue of items; those of one partition keep their order."""

    def __init__(self, batch_bytes: int) -> None:
        self.size = 0
        self._batch_bytes = batch_bytes
        self._items: deque[Item] = deque()
        self._open: dict[TopicPartition, Item] = {}

    def __len__(self) -> int:
        return len(self._items)

    def add(self, partition: TopicPartition, batch: Batch) -> None:
        """Copies the columns: whoever produced them may use them again."""
        for part, size in pieces(batch, self._batch_bytes):
            last = self._open.get(partition)
            if last is not None and self._has_room(last, part, size):
                last.batch.extend(part)
                last.size += size
            else:
                item = Item(partition=partition, batch=_copy(part), size=size)
                self._items.append(item)
                self._open[partition] = item
            self.size += size

    def add_told(self, partition: TopicPartition, batch: Batch) -> list[Item]:
        loop = asyncio.get_running_loop()
        self._open.pop(partition, None)
        items = [
            Item(partition=partition, batch=_copy(part), size=size, told=loop.create_future())
            for part, size in pieces(batch, self._batch_bytes)
        ]
        self._items.extend(items)
        self.size += sum(item.size for item in items)
        return items

    def _has_room(self, item: Item, part: Batch, size: int) -> bool:
        return item.size + size <= self._batch_bytes and len(item.batch) + len(part) <= RECORDS_MAX

    def take(self, limit_bytes: int | None = None) -> list[Item]:
        """From the front, at least one; they still count in `size` until `settle`."""
        taken: list[Item] = []
        size = 0
        while self._items and (not taken or limit_bytes is None or size + self._items[0].size <= limit_bytes):
            taken.append(self._items.popleft())
            size += taken[-1].size
            if self._open.get(taken[-1].partition) is taken[-1]:
                del self._open[taken[-1].partition]
        return taken

    def settle(self, items: Sequence[Item]) -> None:
        self.size -= sum(item.size for item in items)

    def clear(self) -> list[Item]:
        """What was in it."""
        items = list(self._items)
        self._items.clear()
        self._open.clear()
        self.size = 0
        return items


def _copy(batch: Batch) -> Batch:
    headers = batch.headers if batch.headers is not None and any(batch.headers) else None
    return Batch(
        keys=list(batch.keys), values=list(batch.values), timestamps=list(batch.timestamps),
        headers=None if headers is None else list(headers),
    )  # fmt: skip


class Appends:
    """Calls of the scripts that append: `run(script, key, arguments, items)` sends them until Redis has decided."""

    def __init__(self, client: RedisClient, topics: Topics, cleaner: Cleaner) -> None:
        self.topics = topics
        self._client = client
        self._cleaner = cleaner

    async def run(self, script: str, key: str, arguments: Sequence[Any], items: Sequence[Item]) -> list[Any]:
        """Its answer. A topic that was deleted and made again is written as it is now; nothing was written before that.

        Raises: TransportError, also if a topic does not exist.
        """
        packed = [self._packed(item) for item in items]
        for _ in range(len(items) + 1):
            keys, words = [key], list(arguments)
            for item, (newest, data) in zip(items, packed, strict=True):
                topic = await self.topics.find(item.partition.topic)
                topic.check(item.partition, item.batch)
                keys += [
                    topic_key(self._client.base, item.partition.topic),
                    stream_key(self._client.base, item.partition),
                ]
                words += [topic.id, item.partition.partition, len(item.batch), newest, data]
            answer: list[Any] = await self._client.run(script, keys, words)
            if answer[0] != b"gone":
                break
            for item in items:
                self.topics.forget(item.partition.topic)
        else:
            raise TransportError(f"{items[0].partition} cannot be written: its topic is made anew again and again")
        if answer[0] == b"ok":
            self._see(answer, items)
        return answer

    def _packed(self, item: Item) -> tuple[int, bytes]:
        batch: Any = item.batch
        data = pack(Packed(keys=batch.keys, values=batch.values, timestamps=batch.timestamps, headers=batch.headers))
        return max(batch.timestamps), data

    def _see(self, answer: list[Any], items: Sequence[Item]) -> None:
        for item, end, is_due in zip(items, answer[1::2], answer[2::2], strict=True):
            if item.told is not None and not item.told.done():
                item.told.set_result(int(end))
            if is_due:
                self._cleaner.start(item.partition)
