"""RenewDelegationToken, v1–2. Refused as by every Kafka on a PLAINTEXT listener, and there are no others here."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.renew_delegation_token import RenewDelegationTokenRequest, RenewDelegationTokenResponse

NEVER = -1


def handle(
    context: RequestContext, services: Services, request: RenewDelegationTokenRequest
) -> RenewDelegationTokenResponse:
    return RenewDelegationTokenResponse(
        error_code=ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, expiry_timestamp_ms=NEVER
    )
