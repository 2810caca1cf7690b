"""UnregisterBroker, v0 (KIP-631). Only brokers that are alive are registered here, and a live broker stays."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse


def handle(context: RequestContext, services: Services, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse:
    broker_id = request.broker_id
    if broker_id not in services.metadata.image.brokers:
        message = f"there is no broker {broker_id}"
        return UnregisterBrokerResponse(error_code=ErrorCode.BROKER_ID_NOT_REGISTERED, error_message=message)
    message = f"broker {broker_id} is alive; stop it, and it is not registered any more"
    return UnregisterBrokerResponse(error_code=ErrorCode.INVALID_REQUEST, error_message=message)
