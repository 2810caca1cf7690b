"""InitProducerId, v0–5, for idempotent producers. Not done: transactional ids."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse


def handle(
    context: RequestContext, services: Services, request: InitProducerIdRequest
) -> InitProducerIdResponse | Coroutine[Any, Any, InitProducerIdResponse]:
    if request.transactional_id == "":
        return _refused(ErrorCode.INVALID_REQUEST)
    if request.transactional_id is not None:
        return _refused(ErrorCode.NOT_COORDINATOR)
    return _take(services)


def _refused(error: ErrorCode) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=error, producer_id=-1, producer_epoch=-1)


async def _take(services: Services) -> InitProducerIdResponse:
    return InitProducerIdResponse(producer_id=await services.producer_ids.take(), producer_epoch=0)
