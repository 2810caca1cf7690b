"""What UpdateFeatures means: checks of the wanted levels, and the changes to write (KIP-584).

Source: Kafka's `FeatureControlManager`; the codes are Kafka's, the sentences ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import msgspec

from mainstem.core.metadata.image import MetadataImage
from mainstem.model.cluster import FeatureLevelChanged
from mainstem.model.errors import ErrorCode
from mainstem.model.features import FEATURES


class UpgradeType(IntEnum):
    """The numbers are those of UpdateFeatures."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


class FeatureUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """`upgrade_type` is the number as it was sent, known or not."""

    name: str
    level: int
    upgrade_type: int


class FeaturePlan(msgspec.Struct, frozen=True, kw_only=True):
    """All updates happen, or none."""

    error: ErrorCode = ErrorCode.NONE
    message: str | None = None
    changes: Sequence[FeatureLevelChanged] = ()


def plan_feature_updates(image: MetadataImage, updates: Sequence[FeatureUpdate]) -> FeaturePlan:
    """Of two updates of one feature the last counts, as in Kafka."""
    newest = {update.name: update for update in updates}
    changes: list[FeatureLevelChanged] = []
    for update in newest.values():
        problem = _problem(image, update)
        if problem is not None:
            message = f"no feature was updated: {update.name!r} cannot have level {update.level}: {problem}"
            return FeaturePlan(error=ErrorCode.INVALID_UPDATE_VERSION, message=message)
        if update.level != image.feature_level(update.name):
            epoch = image.features_epoch + len(changes) + 1
            changes.append(FeatureLevelChanged(name=update.name, level=update.level, epoch=epoch))
    return FeaturePlan(changes=tuple(changes))


def _problem(image: MetadataImage, update: FeatureUpdate) -> str | None:
    if update.upgrade_type not in frozenset(UpgradeType):
        return f"there is no upgrade type {update.upgrade_type}"
    if update.level < 0:
        return "a level is 0 or more"
    feature = FEATURES.get(update.name)
    if feature is None:
        return f"no broker supports it; supported are {', '.join(FEATURES) or 'no features at all'}"
    if not feature.level_min <= update.level <= feature.level_max:
        return f"supported are {feature.level_min} to {feature.level_max}"
    is_upgrade = update.upgrade_type == UpgradeType.UPGRADE
    if update.level < image.feature_level(update.name) and is_upgrade:
        return "that is a downgrade, and the upgrade type does not say so"
    if update.level > image.feature_level(update.name) and not is_upgrade:
        return "that is an upgrade, and the upgrade type says downgrade"
    return None
