"""CreateAcls, v1–3. There is no authorizer, which is what Kafka without one answers, too."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.create_acls import AclCreationResult, CreateAclsRequest, CreateAclsResponse

MESSAGE = "no authorizer is configured: nothing would obey this rule"


def handle(context: RequestContext, services: Services, request: CreateAclsRequest) -> CreateAclsResponse:
    refused = AclCreationResult(error_code=ErrorCode.SECURITY_DISABLED, error_message=MESSAGE)
    return CreateAclsResponse(results=[refused for _ in request.creations])
