"""SaslAuthenticate, v0–2. Refused as by every Kafka on a PLAINTEXT listener, and there are no others here."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse

MESSAGE = "this listener is PLAINTEXT: there is nobody to authenticate"


def handle(context: RequestContext, services: Services, request: SaslAuthenticateRequest) -> SaslAuthenticateResponse:
    return SaslAuthenticateResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE, error_message=MESSAGE)
