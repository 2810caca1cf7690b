"""AddPartitionsToTxn, v0–5. v2: PRODUCER_FENCED (KIP-588). v4: several transactions, asked for by brokers, to add or only to verify
(KIP-890). v5: TRANSACTION_ABORTABLE.

One partition that does not exist spoils the transaction's whole list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.txn.commands import AddPartitions, VerifyPartitions
from mainstem.core.txn.records import EPOCH_BUMP_VERSION
from mainstem.core.txn.results import PartitionsResult
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.runtime.coordinator_topic import settled
from mainstem.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)

FIRST_VERSION_WITH_PRODUCER_FENCED = 2
FIRST_VERSION_OF_BROKERS = 4


async def handle(
    context: RequestContext, services: Services, request: AddPartitionsToTxnRequest
) -> AddPartitionsToTxnResponse:
    is_old = context.api_version < FIRST_VERSION_OF_BROKERS
    transactions: Sequence[AddPartitionsToTxnTransaction] = request.transactions
    if is_old:
        transactions = [
            AddPartitionsToTxnTransaction(
                transactional_id=request.v3_and_below_transactional_id,
                producer_id=request.v3_and_below_producer_id,
                producer_epoch=request.v3_and_below_producer_epoch,
                topics=request.v3_and_below_topics,
            )
        ]
    results = [await _one(context, services, transaction) for transaction in transactions]
    if is_old:
        return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=results[0].topic_results)
    return AddPartitionsToTxnResponse(results_by_transaction=results)


async def _one(
    context: RequestContext, services: Services, transaction: AddPartitionsToTxnTransaction
) -> AddPartitionsToTxnResult:
    partitions = [TopicPartition(topic.name, index) for topic in transaction.topics for index in topic.partitions]
    missing = {p for p in partitions if not _exists(services, p)}
    if missing:
        refused = {
            p: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if p in missing else ErrorCode.OPERATION_NOT_ATTEMPTED
            for p in partitions
        }
        return _rendered(transaction.transactional_id, partitions, PartitionsResult(errors=refused))
    command: AddPartitions | VerifyPartitions
    if transaction.verify_only:
        command = VerifyPartitions(
            transactional_id=transaction.transactional_id,
            producer_id=transaction.producer_id,
            producer_epoch=transaction.producer_epoch,
            partitions=tuple(partitions),
        )
    else:
        is_old = context.api_version < FIRST_VERSION_OF_BROKERS
        command = AddPartitions(
            transactional_id=transaction.transactional_id,
            producer_id=transaction.producer_id,
            producer_epoch=transaction.producer_epoch,
            partitions=tuple(partitions),
            client_version=0 if is_old else EPOCH_BUMP_VERSION,
        )

    def render(result: PartitionsResult) -> AddPartitionsToTxnResult:
        if result.error is ErrorCode.PRODUCER_FENCED and context.api_version < FIRST_VERSION_WITH_PRODUCER_FENCED:
            result = PartitionsResult(error=ErrorCode.INVALID_PRODUCER_EPOCH)
        return _rendered(transaction.transactional_id, partitions, result)

    (found,) = await settled([services.transactions.submit(command, render)])
    return found


def _exists(services: Services, partition: TopicPartition) -> bool:
    topic = services.metadata.image.topics.get(partition.topic)
    return topic is not None and 0 <= partition.partition < len(topic.partitions)


def _rendered(
    transactional_id: str, partitions: Iterable[TopicPartition], result: PartitionsResult
) -> AddPartitionsToTxnResult:
    topics: dict[str, list[AddPartitionsToTxnPartitionResult]] = {}
    for p in partitions:
        topics.setdefault(p.topic, []).append(
            AddPartitionsToTxnPartitionResult(partition_index=p.partition, partition_error_code=result.error_of(p))
        )
    return AddPartitionsToTxnResult(
        transactional_id=transactional_id,
        topic_results=[
            AddPartitionsToTxnTopicResult(name=name, results_by_partition=rows) for name, rows in topics.items()
        ],
    )
