"""A transactional producer over librdkafka, which speaks the protocol of KIP-98 and KIP-447 (transaction protocol v1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.api.transport import Committed, TransportConsumer
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_kafka.client import in_words
from mainstem_plugins.transport_kafka.consumer import KafkaConsumer, committed_offsets
from mainstem_plugins.transport_kafka.producer import KafkaProducer

TRANSACTION_WAIT_S = 60.0
TRIES_MAX = 10


class KafkaTransactions(KafkaProducer):
    """One transaction at a time. Calls that librdkafka says may be tried again are."""

    def __init__(self, properties: dict[str, str | int | bool], context: PluginContext, transactional_id: str) -> None:
        # Without the strategy a broker's restart can leave send_offsets_to_transaction waiting for ever (librdkafka 2.16).
        own: dict[str, str | int | bool] = {
            "transactional.id": transactional_id,
            "metadata.recovery.strategy": "none",
        }
        super().__init__({**properties, **own}, context)
        self._id = transactional_id

    async def open(self) -> None:
        await self._try("open", lambda: self._producer.init_transactions(TRANSACTION_WAIT_S))

    async def begin(self) -> None:
        await self._try("begin", self._producer.begin_transaction)

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        await self.produce(partition, batch)
        await self.flush()
        return None

    async def commit(self, offsets: Mapping[TopicPartition, Committed], consumer: TransportConsumer) -> None:
        assert isinstance(consumer, KafkaConsumer), "a consumer of this transport"
        await self.flush()
        if offsets:
            metadata = await consumer.group_metadata()
            theirs = committed_offsets(offsets)
            await self._try(
                "commit offsets",
                lambda: self._producer.send_offsets_to_transaction(theirs, metadata, TRANSACTION_WAIT_S),
            )
        await self._try("commit", lambda: self._producer.commit_transaction(TRANSACTION_WAIT_S))

    async def abort(self) -> None:
        self._failed = None
        await self._try("abort", lambda: self._producer.abort_transaction(TRANSACTION_WAIT_S))

    async def _try(self, what: str, call: Callable[[], Any]) -> None:
        """Raises: Fenced, NotMember, TransportError."""
        for attempt in range(TRIES_MAX):
            try:
                await self._call(call)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or attempt == TRIES_MAX - 1:
                    raise in_words(error, f"the transaction of {self._id} cannot {what}") from error
