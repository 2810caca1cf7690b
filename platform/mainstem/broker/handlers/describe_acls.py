"""DescribeAcls, v1–3. There is no authorizer, which is what Kafka without one answers, too."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse

MESSAGE = "no authorizer is configured: every client may do everything"


def handle(context: RequestContext, services: Services, request: DescribeAclsRequest) -> DescribeAclsResponse:
    return DescribeAclsResponse(error_code=ErrorCode.SECURITY_DISABLED, error_message=MESSAGE)
