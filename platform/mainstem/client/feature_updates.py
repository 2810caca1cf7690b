"""UpdateFeatures: raise and lower a cluster's features."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from mainstem.client.cluster import Cluster
from mainstem.client.errors import refusal
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse
from mainstem.wire.schema import Message


class Downgrade(IntEnum):
    """How far a feature may be lowered; numbers of the protocol's `upgradeType`."""

    NONE = 1
    SAFE = 2
    UNSAFE = 3


def update_features(
    cluster: Cluster, levels: Mapping[str, int], how: Downgrade, *, only_check: bool
) -> dict[str, str | None]:
    """What went wrong with each feature, None where nothing did. Raises: UnreachableError, RefusedError."""
    request = UpdateFeaturesRequest(
        timeout_ms=cluster.api_timeout_ms,
        feature_updates=[
            FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=how) for name, level in levels.items()
        ],
        validate_only=only_check,
    )
    answer = cluster.ask_controller(ApiKey.UPDATE_FEATURES, request, _error_of)
    assert isinstance(answer, UpdateFeaturesResponse), answer
    if answer.error_code != ErrorCode.NONE:
        return dict.fromkeys(levels, str(refusal(answer.error_code, answer.error_message)))
    problems: dict[str, str | None] = dict.fromkeys(levels)
    for each in answer.results:
        if each.error_code != ErrorCode.NONE:
            problems[each.feature] = str(refusal(each.error_code, each.error_message))
    return problems


def _error_of(answer: Message) -> int:
    assert isinstance(answer, UpdateFeaturesResponse), answer
    return answer.error_code
