"""ApiVersions, v0–4. v3: client software name and version (KIP-511). Not done: finalized features (none of ours is versioned)."""

from __future__ import annotations

import re

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse

CLIENT_SOFTWARE_FROM = 3
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def handle(context: RequestContext, services: Services, request: ApiVersionsRequest) -> ApiVersionsResponse:
    if context.api_version >= CLIENT_SOFTWARE_FROM and not (
        _SOFTWARE.fullmatch(request.client_software_name) and _SOFTWARE.fullmatch(request.client_software_version)
    ):
        return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
    return ApiVersionsResponse(api_keys=api_keys(services))


def api_keys(services: Services) -> list[ApiVersion]:
    return [
        ApiVersion(api_key=key, min_version=first, max_version=last)
        for key, (first, last) in sorted(services.served_versions.items())
    ]
