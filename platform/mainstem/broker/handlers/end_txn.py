"""EndTxn, v0–5. v2: PRODUCER_FENCED (KIP-588). v5: every transaction ends its epoch, the next one is returned (KIP-890).

Answered once the decision is committed; markers follow.
"""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.txn.commands import EndTransaction
from mainstem.core.txn.records import EPOCH_BUMP_VERSION
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.end_txn import EndTxnRequest, EndTxnResponse

FIRST_VERSION_WITH_PRODUCER_FENCED = 2
FIRST_VERSION_WITH_EPOCH_BUMP = 5


async def handle(context: RequestContext, services: Services, request: EndTxnRequest) -> EndTxnResponse:
    result = await services.transactions.end(
        EndTransaction(
            transactional_id=request.transactional_id,
            producer_id=request.producer_id,
            producer_epoch=request.producer_epoch,
            is_commit=request.committed,
            client_version=EPOCH_BUMP_VERSION if context.api_version >= FIRST_VERSION_WITH_EPOCH_BUMP else 0,
        )
    )
    error = result.error
    if error is ErrorCode.PRODUCER_FENCED and context.api_version < FIRST_VERSION_WITH_PRODUCER_FENCED:
        error = ErrorCode.INVALID_PRODUCER_EPOCH
    return EndTxnResponse(error_code=error, producer_id=result.producer_id, producer_epoch=result.producer_epoch)
