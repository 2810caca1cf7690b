"""InitProducerId, v0–5. v3: a producer that goes on names its id and epoch (KIP-360). v4: PRODUCER_FENCED (KIP-588)."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.txn.commands import InitProducerId, ProducerIdAndEpoch
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_PRODUCER_ID
from mainstem.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

FIRST_VERSION_WITH_PRODUCER_FENCED = 4
NO_EPOCH = -1


async def handle(context: RequestContext, services: Services, request: InitProducerIdRequest) -> InitProducerIdResponse:
    has_id, has_epoch = request.producer_id != NO_PRODUCER_ID, request.producer_epoch != NO_EPOCH
    if has_id != has_epoch or request.transactional_id == "":
        return _refused(ErrorCode.INVALID_REQUEST)
    if request.transactional_id is None:
        return InitProducerIdResponse(producer_id=await services.producer_ids.take(), producer_epoch=0)
    command = InitProducerId(
        transactional_id=request.transactional_id,
        timeout_ms=request.transaction_timeout_ms,
        expected=ProducerIdAndEpoch(request.producer_id, request.producer_epoch) if has_id else None,
    )
    result = await services.transactions.init_producer_id(command)
    error = result.error
    if error is ErrorCode.PRODUCER_FENCED and context.api_version < FIRST_VERSION_WITH_PRODUCER_FENCED:
        error = ErrorCode.INVALID_PRODUCER_EPOCH
    if error is not ErrorCode.NONE:
        return _refused(error)
    return InitProducerIdResponse(producer_id=result.producer_id, producer_epoch=result.producer_epoch)


def _refused(error: ErrorCode) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=error, producer_id=NO_PRODUCER_ID, producer_epoch=NO_EPOCH)
