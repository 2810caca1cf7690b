"""AlterUserScramCredentials, v0 (KIP-554). No listener has SASL, so that no credentials can be set; there are none to delete."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
)

MESSAGE = "no listener of this broker has SASL: nobody could use these credentials"


def handle(
    context: RequestContext, services: Services, request: AlterUserScramCredentialsRequest
) -> AlterUserScramCredentialsResponse:
    """One result per user; a user who is named twice is not to be changed at all."""
    upserted = [each.name for each in request.upsertions]
    names = [each.name for each in request.deletions] + upserted
    return AlterUserScramCredentialsResponse(
        results=[_result(name, names.count(name), is_upserted=name in upserted) for name in dict.fromkeys(names)]
    )


def _result(name: str, count: int, *, is_upserted: bool) -> AlterUserScramCredentialsResult:
    if count > 1:
        error, message = ErrorCode.DUPLICATE_RESOURCE, f"the request has user {name!r} more than once"
    elif is_upserted:
        error, message = ErrorCode.UNSUPPORTED_SASL_MECHANISM, MESSAGE
    else:
        error, message = ErrorCode.RESOURCE_NOT_FOUND, f"there are no credentials of user {name!r}"
    return AlterUserScramCredentialsResult(user=name, error_code=error, error_message=message)
