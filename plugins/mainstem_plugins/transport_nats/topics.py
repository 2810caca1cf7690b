"""Topics: what the bucket of topics says of them, and the streams that keep their records.

A topic that is made again after it was deleted is another one: its incarnation is part of the names of its streams, so
that nobody who still knows the old one writes to it, reads it or takes its committed offsets for those of the new one.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from functools import partial

import msgspec
from nats.js import api
from nats.js.kv import KeyValue

from mainstem.api.transport import TransportError
from mainstem.api.transport_rules import cleanup_policy
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import topic_name_problem
from mainstem_plugins.transport_nats.connection import Conflict, Missing, NatsConnection
from mainstem_plugins.transport_nats.log import PartitionLog
from mainstem_plugins.transport_nats.names import STREAM_NAME_LENGTH_MAX, encoded_topic, stream_name, subject_of

PARTITIONS_MAX = 10_000
CREATED_AT_ONCE = 16


class TopicEntry(msgspec.Struct, frozen=True):
    """What the bucket keeps of a topic."""

    incarnation: str
    partitions: int
    configs: dict[str, str]


class Topics:
    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection
        self._prefix = connection.config.prefix
        self._bucket: KeyValue | None = None

    async def open(self) -> None:
        self._bucket = await open_bucket(self._connection, f"{self._prefix}-topics")

    @property
    def _known(self) -> KeyValue:
        assert self._bucket is not None, "opened before use"
        return self._bucket

    async def find(self, topic: str) -> TopicEntry | None:
        if topic_name_problem(topic) is not None:
            return None
        key = encoded_topic(topic)
        try:
            found = await self._connection.call(f"topic {topic} cannot be looked up", lambda: self._known.get(key))
        except Missing:
            return None
        return msgspec.json.decode(found.value or b"", type=TopicEntry)

    async def get(self, topic: str) -> TopicEntry:
        """Raises: TransportError if it does not exist."""
        found = await self.find(topic)
        if found is None:
            raise TransportError(f"topic {topic} does not exist")
        return found

    def log(self, partition: TopicPartition, entry: TopicEntry) -> PartitionLog:
        """Raises: TransportError if the topic has no such partition."""
        if not 0 <= partition.partition < entry.partitions:
            raise TransportError(f"{partition} does not exist: the topic has {entry.partitions} partitions")
        place = (self._prefix, partition.topic, entry.incarnation, partition.partition)
        return PartitionLog(self._connection, partition, stream_name(*place), subject_of(*place))

    async def logs(self, topic: str) -> list[PartitionLog]:
        """Raises: TransportError."""
        entry = await self.get(topic)
        return [self.log(TopicPartition(topic, number), entry) for number in range(entry.partitions)]

    async def create(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        """The streams first: a topic that is known can be written to. Raises: TransportError."""
        entry = TopicEntry(uuid.uuid4().hex[:12], partitions, dict(configs))
        self._check(topic, entry)
        if await self.find(topic) is not None:
            return
        made = [self.log(TopicPartition(topic, number), entry) for number in range(partitions)]
        limit_bytes = self._limit_bytes(entry)
        for start in range(0, partitions, CREATED_AT_ONCE):
            await asyncio.gather(*(self._add_stream(one, limit_bytes) for one in made[start : start + CREATED_AT_ONCE]))
        data = msgspec.json.encode(entry)
        try:
            await self._connection.call(
                f"topic {topic} cannot be created", lambda: self._known.create(encoded_topic(topic), data)
            )
        except Conflict:
            # Somebody else was faster, or our first try arrived and its answer did not.
            if await self.find(topic) != entry:
                await self._delete_streams(made)

    def _check(self, topic: str, entry: TopicEntry) -> None:
        problem = topic_name_problem(topic)
        if problem is not None:
            raise TransportError(problem)
        what = f"topic {topic} cannot be created"
        if not 1 <= entry.partitions <= PARTITIONS_MAX:
            raise TransportError(f"{what}: partitions is {entry.partitions}, 1 to {PARTITIONS_MAX} are possible")
        length = len(stream_name(self._prefix, topic, entry.incarnation, entry.partitions - 1))
        if length > STREAM_NAME_LENGTH_MAX:
            raise TransportError(f"{what}: its name is {length - STREAM_NAME_LENGTH_MAX} characters too long for NATS")
        cleanup_policy(topic, entry.configs)
        for name in ("retention.ms", "retention.bytes"):
            value = entry.configs.get(name, "-1")
            if not value.removeprefix("-").isdecimal():
                raise TransportError(f"{what}: {name} {value!r} is no number")

    def _limit_bytes(self, entry: TopicEntry) -> int:
        """What the server may keep of a partition, -1 for no limit. Two messages always fit: the last one says where the
        partition ends, and must not go."""
        limit = int(entry.configs.get("retention.bytes", "-1"))
        if limit < 0 or "delete" not in entry.configs.get("cleanup.policy", "delete"):
            return -1
        return max(limit, 4 * self._connection.client.max_payload)

    async def _add_stream(self, log: PartitionLog, limit_bytes: int) -> None:
        config = api.StreamConfig(
            name=log.stream,
            subjects=[log.subject],
            storage=api.StorageType.FILE,
            num_replicas=self._connection.config.replicas,
            max_bytes=limit_bytes,
            allow_direct=True,
        )
        await self._connection.call(
            f"{log.partition} cannot be created", lambda: self._connection.js.add_stream(config)
        )

    async def delete(self, topic: str) -> None:
        """Unknown first, its streams then: whoever dies between the two leaves streams that nobody knows."""
        entry = await self.find(topic)
        if entry is None:
            return
        await self._connection.call(
            f"topic {topic} cannot be deleted", lambda: self._known.delete(encoded_topic(topic))
        )
        await self._delete_streams(
            [self.log(TopicPartition(topic, number), entry) for number in range(entry.partitions)]
        )

    async def _delete_streams(self, logs: list[PartitionLog]) -> None:
        for log in logs:
            try:
                await self._connection.call(
                    f"{log.partition} cannot be deleted", partial(self._connection.js.delete_stream, log.stream)
                )
            except Missing:
                continue


def retention_ms(entry: TopicEntry) -> int | None:
    """How old records get; None if they stay."""
    kept = int(entry.configs.get("retention.ms", "-1"))
    return kept if kept >= 0 and "delete" in entry.configs.get("cleanup.policy", "delete") else None


async def open_bucket(connection: NatsConnection, name: str) -> KeyValue:
    """A key-value bucket, made if it is not there. Raises: TransportError."""
    try:
        return await connection.call(f"bucket {name} cannot be opened", lambda: connection.js.key_value(name))
    except Missing:
        # Not `direct`: a follower may answer with what was true before this process's last change.
        config = api.KeyValueConfig(bucket=name, history=1, replicas=connection.config.replicas, direct=False)
        return await connection.call(f"bucket {name} cannot be made", lambda: connection.js.create_key_value(config))
