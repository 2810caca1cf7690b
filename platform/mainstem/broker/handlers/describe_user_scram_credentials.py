"""DescribeUserScramCredentials, v0 (KIP-554). There are no users with credentials."""

from __future__ import annotations

from collections import Counter

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)


def handle(
    context: RequestContext, services: Services, request: DescribeUserScramCredentialsRequest
) -> DescribeUserScramCredentialsResponse:
    counts = Counter(user.name for user in request.users or ())
    return DescribeUserScramCredentialsResponse(
        error_message="", results=[_result(name, count) for name, count in counts.items()]
    )


def _result(name: str, count: int) -> DescribeUserScramCredentialsResult:
    if count > 1:
        error, message = ErrorCode.DUPLICATE_RESOURCE, f"the request has user {name!r} more than once"
    else:
        error, message = ErrorCode.RESOURCE_NOT_FOUND, f"there are no credentials of user {name!r}"
    return DescribeUserScramCredentialsResult(user=name, error_code=error, error_message=message)
