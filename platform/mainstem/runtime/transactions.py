"""Transactional ids of this broker: what the handlers of transactions call, and the logs that verify.

An id belongs to one partition of `__transaction_state` (`runtime.coordinator_topic`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from mainstem.api.context import Clock, Log
from mainstem.core.txn.commands import (
    AddPartitions,
    CompleteTransaction,
    DescribeTransaction,
    EndTransaction,
    InitProducerId,
    ListTransactions,
    VerifyPartitions,
    WriteMarkers,
)
from mainstem.core.txn.records import EPOCH_BUMP_VERSION, TransactionStored
from mainstem.core.txn.results import ListResult, PartitionsResult, ProducerResult
from mainstem.core.txn.settings import TransactionSettings
from mainstem.core.txn.shard import TransactionShard
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import TRANSACTION_STATE_TOPIC
from mainstem.runtime.coordinator import CoordinatorRuntime
from mainstem.runtime.coordinator_shard import RecordFormat, ShardSettings
from mainstem.runtime.coordinator_timers import Scheduler
from mainstem.runtime.coordinator_topic import (
    CoordinatorLocation,
    CoordinatorTopic,
    MetadataPort,
    PartitionsPort,
    as_it_is,
    settled,
)
from mainstem.runtime.producer_ids import ProducerIds
from mainstem.runtime.transaction_markers import Completion, MarkerPort
from mainstem.runtime.transaction_verification import ToldErrors, Writer
from mainstem.wire.stored.transaction_state import decode_record, encode_record

Response = TypeVar("Response")
NO_SEQUENCE = -1

Request = InitProducerId | AddPartitions | VerifyPartitions | EndTransaction | DescribeTransaction


def transaction_settings(config: BrokerConfig) -> TransactionSettings:
    return TransactionSettings(
        transaction_max_timeout_ms=config.transaction_max_timeout_ms,
        transactional_id_expiration_ms=config.transactional_id_expiration_ms,
        abort_timed_out_interval_ms=config.transaction_abort_timed_out_transaction_cleanup_interval_ms,
        remove_expired_interval_ms=config.transaction_remove_expired_transaction_cleanup_interval_ms,
    )


class Transactions:
    """One per broker, made on its loop after groups, closed before them. `scheduler` None stands for that loop."""

    def __init__(
        self,
        config: BrokerConfig,
        metadata: MetadataPort,
        partitions: PartitionsPort,
        producer_ids: ProducerIds,
        markers: MarkerPort,
        clock: Clock,
        log: Log,
        *,
        scheduler: Scheduler | None = None,
    ) -> None:
        self._metadata = metadata
        self._producer_ids = producer_ids
        self._markers = markers
        self._log = log
        self._scheduler: Scheduler = scheduler or asyncio.get_running_loop()
        settings = transaction_settings(config)
        self._runtime: CoordinatorRuntime[TransactionShard] = CoordinatorRuntime(
            TRANSACTION_STATE_TOPIC,
            lambda: TransactionShard(settings),
            RecordFormat(encode_record, decode_record),
            ShardSettings(config.request_timeout_ms, base_sequence=NO_SEQUENCE),
            clock,
            log,
            self._scheduler,
            self._carry_out,
        )
        self._topic: CoordinatorTopic[TransactionShard] = CoordinatorTopic(
            TRANSACTION_STATE_TOPIC,
            config.transaction_state_log_num_partitions,
            config.node_id,
            metadata,
            partitions,
            self._runtime,
            log,
        )

    # ------------------------------------------------------------------------------------------------------- requests

    async def coordinator_of(self, transactional_id: str) -> CoordinatorLocation:
        """Creates the internal topic if need be."""
        return await self._topic.coordinator_of(transactional_id)

    async def ready(self, transactional_id: str) -> None:
        """Until the coordinator of an id serves. Raises: RequestError if the internal topic cannot be created."""
        await self._topic.ready(transactional_id)

    def submit(self, command: Request, render: Callable[[Any], Response]) -> Response | asyncio.Future[Response]:
        """Give a command to its id's coordinator. `render` makes the response of the result, also of a refusal.

        Returns the response where it is there at once, a future of it otherwise; never raises for what a client may do.
        """
        if not command.transactional_id:
            return render(command.refused(ErrorCode.INVALID_REQUEST))
        index = self._topic.partition_for(command.transactional_id)
        error = self._topic.serve(index)
        if error is not ErrorCode.NONE:
            # Also where the topic is still to be created: this coordinator of Kafka's knows one word for both.
            return render(command.refused(ErrorCode.NOT_COORDINATOR))
        return self._runtime.submit(index, command, render)

    async def init_producer_id(self, command: InitProducerId) -> ProducerResult:
        """Raises: StorageError, FencedError if a producer id is needed and none can be reserved."""
        return await self._with_producer_id(command)

    async def end(self, command: EndTransaction) -> ProducerResult:
        """Answers once the decision is committed; the markers follow. Raises: as `init_producer_id`."""
        return await self._with_producer_id(command)

    async def _with_producer_id(self, command: InitProducerId | EndTransaction) -> ProducerResult:
        """Most commands need no fresh id, and it may have to be reserved first: only who needs one gets it."""
        (result,) = await settled([self.submit(command, as_it_is)])
        assert isinstance(result, ProducerResult)
        if result.needs_producer_id:
            spare = await self._producer_ids.take()
            (result,) = await settled([self.submit(replace(command, spare_producer_id=spare), as_it_is)])
            assert isinstance(result, ProducerResult)
        return result

    def stored(self) -> Iterator[TransactionStored]:
        """Every transactional id of the shards that are loaded, for metrics."""
        for shard in self._runtime.machines():
            yield from shard.transactions.values()

    async def list_transactions(self, command: ListTransactions) -> ListResult:
        """All transactions this broker coordinates."""
        if self._runtime.is_loading:
            return command.refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        listed: list[TransactionStored] = []
        for result in await self._topic.ask_all(command):
            if result.error is ErrorCode.NONE:
                listed += result.transactions
            elif result.error is not ErrorCode.NOT_COORDINATOR:
                return command.refused(result.error)
        return ListResult(transactions=tuple(listed))

    def add_or_verify(self, writer: Writer, partitions: Sequence[TopicPartition], done: ToldErrors) -> None:
        """See `runtime.transaction_verification.CoordinatorPort`."""
        command: AddPartitions | VerifyPartitions
        if writer.adds:
            command = AddPartitions(
                transactional_id=writer.transactional_id,
                producer_id=writer.producer_id,
                producer_epoch=writer.producer_epoch,
                partitions=tuple(partitions),
                client_version=EPOCH_BUMP_VERSION,
            )
        else:
            command = VerifyPartitions(
                transactional_id=writer.transactional_id,
                producer_id=writer.producer_id,
                producer_epoch=writer.producer_epoch,
                partitions=tuple(partitions),
            )

        def render(result: PartitionsResult) -> None:
            done({partition: result.error_of(partition) for partition in partitions})

        self.submit(command, render)

    # -------------------------------------------------------------------------------------------------------- markers

    def _carry_out(self, index: int, decided: WriteMarkers) -> None:
        """A decision to commit or abort is committed."""
        machine = self._runtime.machine(index)
        image = self._metadata.image.topics.get(TRANSACTION_STATE_TOPIC)
        if machine is None or image is None:
            return
        completed = CompleteTransaction(
            transactional_id=decided.transactional_id,
            producer_id=decided.producer_id,
            producer_epoch=decided.producer_epoch,
        )
        Completion(
            decided,
            image.partitions[index].leader_epoch,
            self._markers,
            self._scheduler,
            self._log,
            exists=self._exists,
            is_current=lambda: self._runtime.machine(index) is machine,
            completed=lambda: self._runtime.tell(index, completed),
        ).start()

    def _exists(self, partition: TopicPartition) -> bool:
        topic = self._metadata.image.topics.get(partition.topic)
        return topic is not None and partition.partition < len(topic.partitions)

    async def close(self) -> None:
        await self._topic.close()
