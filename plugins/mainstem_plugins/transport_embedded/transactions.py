"""Transactions of the broker in this process, by KIP-890's protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainstem.api.batch import Batch, slices
from mainstem.api.node import CommittedOffset, LocalNode
from mainstem.api.transport import Committed, TransportConsumer, TransportError
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT
from mainstem.model.compression import codec_of
from mainstem.model.errors import RequestError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_embedded import EmbeddedConfig
from mainstem_plugins.transport_embedded.consumer import EmbeddedConsumer
from mainstem_plugins.transport_embedded.producer import InFlight
from mainstem_plugins.transport_embedded.trouble import trouble


class EmbeddedTransactions:
    """Sequences start at 0 in each transaction, because each has a producer epoch of its own."""

    def __init__(self, config: EmbeddedConfig, node: LocalNode, transactional_id: str) -> None:
        self._config = config
        self._id = transactional_id
        self._codec = codec_of(config.compression)
        self._local = node.transactions(transactional_id, config.transaction_timeout_ms)
        self._in_flight = InFlight(config.in_flight_bytes)
        self._sequences: dict[TopicPartition, int] | None = None
        self._has_written = False

    async def open(self) -> None:
        try:
            await self._local.open()
        except RequestError as error:
            raise trouble(error, f"transactional id {self._id} cannot be opened") from error

    async def begin(self) -> None:
        if self._sequences is not None:
            raise TransportError("a transaction is open already")
        self._sequences = {}
        self._has_written = False

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        if self._sequences is None:
            raise TransportError("no transaction has begun")
        for first, end in slices(batch, self._config.batch_bytes):
            sequence = self._sequences.get(partition, 0)
            encoded = records.encode(
                batch.keys[first:end],
                batch.values[first:end],
                batch.timestamps[first:end],
                None if batch.headers is None else batch.headers[first:end],
                codec=self._codec,
                producer_id=self._local.producer_id,
                producer_epoch=self._local.producer_epoch,
                base_sequence=sequence,
                attributes=TRANSACTIONAL_BIT,
            )
            self._sequences[partition] = sequence + end - first
            self._has_written = True
            await self._in_flight.make_room(len(encoded))
            self._in_flight.add(partition, len(encoded), self._local.append(partition, encoded))

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        await self.produce(partition, batch)
        await self.flush()
        return None

    async def flush(self) -> None:
        await self._in_flight.settle()

    async def commit(self, offsets: Mapping[TopicPartition, Committed], consumer: TransportConsumer) -> None:
        if self._sequences is None:
            raise TransportError("no transaction has begun")
        assert isinstance(consumer, EmbeddedConsumer), "a consumer of this transport"
        await self.flush()
        try:
            if offsets:
                told = {partition: CommittedOffset(one.offset, one.metadata) for partition, one in offsets.items()}
                self._has_written = True
                await self._local.commit_offsets(consumer.group_id, told, consumer.member)
            if self._has_written:
                await self._local.end(is_commit=True)
        except RequestError as error:
            raise trouble(error, f"the transaction of {self._id} cannot be committed") from error
        self._sequences = None

    async def abort(self) -> None:
        await self._in_flight.forget()
        if self._sequences is None:
            return
        try:
            if self._has_written:
                await self._local.end(is_commit=False)
        except RequestError as error:
            raise trouble(error, f"the transaction of {self._id} cannot be aborted") from error
        finally:
            self._sequences = None

    async def close(self) -> None:
        await self._in_flight.forget()
