"""A transactional producer: what is produced waits in this process, and one script commits all of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from mainstem.api.batch import Batch
from mainstem.api.transport import Committed, Fenced, NotMember, TransportConsumer, TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_redis import RedisConfig
from mainstem_plugins.transport_redis.client import RedisClient
from mainstem_plugins.transport_redis.consumer import RedisConsumer
from mainstem_plugins.transport_redis.outgoing import Appends, Outgoing


class RedisTransactions:
    """The owner of the transactional id and its epoch are checked with each commit; an abort makes a new epoch, so that a
    commit that was given up and still arrives is refused."""

    def __init__(self, config: RedisConfig, client: RedisClient, appends: Appends, transactional_id: str) -> None:
        self._client = client
        self._appends = appends
        self._limit_bytes = config.transaction_bytes
        self._id = transactional_id
        self._key = f"{client.base}transactional:{transactional_id}"
        self._owner = uuid.uuid4().hex
        self._epoch = 0
        self._number = 0
        self._pending = Outgoing(config.batch_bytes)
        self._is_open = False

    async def open(self) -> None:
        self._owner = uuid.uuid4().hex
        self._epoch = int(await self._client.run("transactional_open", [self._key], [self._owner]))
        self._end()

    def _end(self) -> None:
        self._pending.clear()
        self._is_open = False

    async def begin(self) -> None:
        if self._is_open:
            raise TransportError("a transaction is open already")
        self._is_open = True
        self._number += 1

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        self._check_open()
        topic = await self._appends.topics.find(partition.topic)
        topic.check(partition, batch)
        self._pending.add(partition, batch)
        if self._pending.size > self._limit_bytes:
            raise TransportError(
                f"the transaction of {self._id} has more than {self._limit_bytes} bytes: commit more often, or raise "
                "transaction_bytes"
            )

    def _check_open(self) -> None:
        if not self._is_open:
            raise TransportError("no transaction has begun")

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        await self.produce(partition, batch)
        return None

    async def flush(self) -> None:
        """Nothing is on its way before the commit."""

    async def commit(self, offsets: Mapping[TopicPartition, Committed], consumer: TransportConsumer) -> None:
        self._check_open()
        assert isinstance(consumer, RedisConsumer), "a consumer of this transport"
        arguments = [self._owner, self._epoch, self._number, *consumer.group.commit_arguments(offsets, with_count=True)]
        items = self._pending.take()
        answer = await self._appends.run("transact", self._key, arguments, items)
        match answer[0]:
            case b"fenced":
                raise Fenced(f"another producer uses transactional id {self._id}")
            case b"strange":
                raise NotMember(consumer.group.strange_text(answer[1:]))
        self._end()

    async def abort(self) -> None:
        self._end()
        epoch = int(await self._client.run("transactional_abort", [self._key], [self._owner]))
        if not epoch:
            raise Fenced(f"another producer uses transactional id {self._id}")
        self._epoch = epoch

    async def close(self) -> None:
        self._end()
