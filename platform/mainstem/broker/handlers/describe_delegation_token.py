"""DescribeDelegationToken, v1–3. Refused as by every Kafka on a PLAINTEXT listener, and there are no others here."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.describe_delegation_token import (
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
)


def handle(
    context: RequestContext, services: Services, request: DescribeDelegationTokenRequest
) -> DescribeDelegationTokenResponse:
    return DescribeDelegationTokenResponse(error_code=ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED)
