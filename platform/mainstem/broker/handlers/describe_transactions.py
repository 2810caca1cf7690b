"""DescribeTransactions, v0 (KIP-664)."""

from __future__ import annotations

from functools import partial

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.txn.commands import DescribeTransaction
from mainstem.core.txn.results import DescribeResult
from mainstem.runtime.coordinator_topic import settled
from mainstem.wire.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TopicData,
    TransactionState,
)


async def handle(
    context: RequestContext, services: Services, request: DescribeTransactionsRequest
) -> DescribeTransactionsResponse:
    submit = services.transactions.submit
    return DescribeTransactionsResponse(
        transaction_states=await settled(
            [submit(DescribeTransaction(transactional_id=i), partial(_state, i)) for i in request.transactional_ids]
        )
    )


def _state(transactional_id: str, result: DescribeResult) -> TransactionState:
    found = result.transaction
    if found is None:
        return TransactionState(transactional_id=transactional_id, error_code=result.error)
    topics: dict[str, list[int]] = {}
    for topic, partition in found.partitions:
        topics.setdefault(topic, []).append(partition)
    return TransactionState(
        transactional_id=transactional_id,
        transaction_state=found.state.label,
        transaction_timeout_ms=found.timeout_ms,
        transaction_start_time_ms=found.started_at_ms,
        producer_id=found.producer_id,
        producer_epoch=found.producer_epoch,
        topics=[TopicData(topic=name, partitions=partitions) for name, partitions in topics.items()],
    )
