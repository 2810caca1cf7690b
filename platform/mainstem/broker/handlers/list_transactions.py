"""ListTransactions, v0–2: those that this broker coordinates (KIP-664). v1: by duration (KIP-994). v2: by pattern (KIP-1152)."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.regular_expression import regex_problem
from mainstem.core.txn.commands import ListTransactions
from mainstem.core.txn.records import STATE_BY_LABEL
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
    TransactionState,
)


async def handle(
    context: RequestContext, services: Services, request: ListTransactionsRequest
) -> ListTransactionsResponse:
    pattern = request.transactional_id_pattern or None
    if pattern is not None and regex_problem(pattern) is not None:
        return ListTransactionsResponse(error_code=ErrorCode.INVALID_REGULAR_EXPRESSION)
    known = frozenset(STATE_BY_LABEL[name] for name in request.state_filters if name in STATE_BY_LABEL)
    unknown = [name for name in dict.fromkeys(request.state_filters) if name not in STATE_BY_LABEL]
    result = await services.transactions.list_transactions(
        ListTransactions(
            producer_ids=frozenset(request.producer_id_filters),
            states=known if known or not unknown else None,
            duration_ms=request.duration_filter,
            pattern=pattern,
        )
    )
    return ListTransactionsResponse(
        error_code=result.error,
        unknown_state_filters=unknown,
        transaction_states=[
            TransactionState(
                transactional_id=found.transactional_id,
                producer_id=found.producer_id,
                transaction_state=found.state.label,
            )
            for found in result.transactions
        ],
    )
