"""DeleteAcls, v1–3. There is no authorizer, which is what Kafka without one answers, too."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.delete_acls import DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse

MESSAGE = "no authorizer is configured: there are no rules"


def handle(context: RequestContext, services: Services, request: DeleteAclsRequest) -> DeleteAclsResponse:
    refused = DeleteAclsFilterResult(error_code=ErrorCode.SECURITY_DISABLED, error_message=MESSAGE)
    return DeleteAclsResponse(filter_results=[refused for _ in request.filters])
