"""ApiVersions, v0–4. v3: client software (KIP-511), features (KIP-584). v4: features that can be off (KIP-1022)."""

from __future__ import annotations

import re

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.errors import ErrorCode
from mainstem.model.features import FEATURES
from mainstem.wire.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

CLIENT_SOFTWARE_FROM = 3
LEVEL_ZERO_FROM = 4
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def handle(context: RequestContext, services: Services, request: ApiVersionsRequest) -> ApiVersionsResponse:
    if context.api_version >= CLIENT_SOFTWARE_FROM and not (
        _SOFTWARE.fullmatch(request.client_software_name) and _SOFTWARE.fullmatch(request.client_software_version)
    ):
        return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
    image = services.metadata.image
    return ApiVersionsResponse(
        api_keys=api_keys(services),
        supported_features=supported_features(context.api_version),
        finalized_features=finalized_features(image),
        finalized_features_epoch=image.features_epoch,
    )


def api_keys(services: Services) -> list[ApiVersion]:
    return [
        ApiVersion(api_key=key, min_version=first, max_version=last)
        for key, (first, last) in sorted(services.served_versions.items())
    ]


def supported_features(version: int) -> list[SupportedFeatureKey]:
    """Clients of v3 refuse an answer with a range that begins at 0 (KAFKA-17011), so that they see none."""
    return [
        SupportedFeatureKey(name=feature.name, min_version=feature.level_min, max_version=feature.level_max)
        for feature in FEATURES.values()
        if feature.level_min > 0 or version >= LEVEL_ZERO_FROM
    ]


def finalized_features(image: MetadataImage) -> list[FinalizedFeatureKey]:
    levels = {name: image.feature_level(name) for name in FEATURES}
    return [
        FinalizedFeatureKey(name=name, max_version_level=level, min_version_level=level)
        for name, level in levels.items()
        if level > 0
    ]
