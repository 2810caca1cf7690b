"""UpdateFeatures, v0–2 (KIP-584). v1: upgrade types and validation (KIP-778). v2: one error for all updates (KIP-1022)."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.features import FeatureUpdate
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.update_features import (
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

LAST_VERSION_WITH_RESULTS = 1


async def handle(context: RequestContext, services: Services, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse:
    updates = [
        FeatureUpdate(name=update.feature, level=update.max_version_level, upgrade_type=update.upgrade_type)
        for update in request.feature_updates
    ]
    plan = await services.metadata.update_features(updates, request.validate_only)
    # Kafka names the features one by one only if all went well.
    has_results = plan.error is ErrorCode.NONE and context.api_version <= LAST_VERSION_WITH_RESULTS
    return UpdateFeaturesResponse(
        error_code=plan.error,
        error_message=plan.message,
        results=[UpdatableFeatureResult(feature=update.name) for update in updates] if has_results else (),
    )
