"""What producers know of topics: read once, and again when Redis says that a topic is another one now."""

from __future__ import annotations

import msgspec

from mainstem.api.batch import Batch
from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_redis.client import RedisClient
from mainstem_plugins.transport_redis.keys import topic_key


class Topic(msgspec.Struct, frozen=True):
    """`id` tells a topic from one that was deleted and had its name."""

    id: bytes
    partitions: int
    is_compacted: bool

    def check(self, partition: TopicPartition, batch: Batch) -> None:
        """Raises: TransportError for a partition that does not exist, and for a record without a key if it is compacted."""
        if not 0 <= partition.partition < self.partitions:
            raise TransportError(f"{partition} does not exist")
        if self.is_compacted and None in batch.keys:
            raise TransportError(f"{partition}: records of a compacted topic need a key")


class Topics:
    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._known: dict[str, Topic] = {}

    async def find(self, topic: str) -> Topic:
        """Raises: TransportError."""
        known = self._known.get(topic)
        if known is not None:
            return known
        found = await self._client.command("HMGET", topic_key(self._client.base, topic), "id", "partitions", "compact")
        if found[0] is None:
            raise TransportError(f"topic {topic} does not exist")
        self._known[topic] = Topic(found[0], int(found[1]), found[2] == b"1")
        return self._known[topic]

    def forget(self, topic: str) -> None:
        self._known.pop(topic, None)
