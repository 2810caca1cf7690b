"""ApiVersions and UpdateFeatures on one table of features, in every version."""

from __future__ import annotations

import pytest
from admin_kit import Node, node

from mainstem.broker.handlers import api_versions, update_features
from mainstem.model.errors import ErrorCode
from mainstem.model.features import ALL_FEATURES, FEATURES
from mainstem.wire.messages.api_versions import ApiVersionsRequest
from mainstem.wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest

UPGRADE, SAFE_DOWNGRADE = 1, 2


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every feature of the table, whether it works already or not."""
    for feature in ALL_FEATURES:
        monkeypatch.setitem(FEATURES, feature.name, feature)  # type: ignore[arg-type]  # a dict, seen as a Mapping


async def ask_versions(broker: Node, version: int) -> tuple[dict[str, tuple[int, int]], dict[str, int], int]:
    request = ApiVersionsRequest(client_software_name="t", client_software_version="1")
    answer = await broker.ask(api_versions, version, request)
    supported = {feature.name: (feature.min_version, feature.max_version) for feature in answer.supported_features}
    finalized = {feature.name: feature.max_version_level for feature in answer.finalized_features}
    assert all(feature.min_version_level == feature.max_version_level for feature in answer.finalized_features)
    return supported, finalized, answer.finalized_features_epoch


def update(name: str, level: int, kind: int = UPGRADE) -> FeatureUpdateKey:
    return FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=kind)


@pytest.mark.usefixtures("announced")
async def test_features_are_announced_as_kafka_announces_them() -> None:
    broker = await node()
    levels = {"group.version": 1, "transaction.version": 2}
    assert await ask_versions(broker, 4) == ({"group.version": (0, 1), "transaction.version": (0, 2)}, levels, 0)
    # A client of v3 would refuse a range that begins at 0.
    assert await ask_versions(broker, 3) == ({}, levels, 0)


async def test_what_does_not_work_yet_is_not_announced() -> None:
    supported, finalized, _ = await ask_versions(await node(), 4)
    hidden = {feature.name for feature in ALL_FEATURES if not feature.is_announced}
    assert hidden & (supported.keys() | finalized.keys()) == set()
    assert supported.keys() == {feature.name for feature in ALL_FEATURES} - hidden


@pytest.mark.usefixtures("announced")
@pytest.mark.parametrize("version", [1, 2])
async def test_a_level_is_changed_and_told(version: int) -> None:
    broker = await node()
    request = UpdateFeaturesRequest(feature_updates=[update("transaction.version", 0, SAFE_DOWNGRADE)])
    response = await broker.ask(update_features, version, request)
    assert (response.error_code, response.error_message) == (0, None)
    named = [(result.feature, result.error_code) for result in response.results]
    assert named == ([("transaction.version", 0)] if version < 2 else [])
    _, finalized, epoch = await ask_versions(broker, 4)
    assert (finalized, epoch) == ({"group.version": 1}, 1)
    assert broker.metadata.image.feature_level("transaction.version") == 0


@pytest.mark.usefixtures("announced")
async def test_version_0_can_only_upgrade() -> None:
    """Its flag for downgrades is ignored by Kafka 4.1, too."""
    broker = await node()
    down = FeatureUpdateKey(feature="group.version", max_version_level=0, allow_downgrade=True)
    response = await broker.ask(update_features, 0, UpdateFeaturesRequest(feature_updates=[down]))
    assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
    assert broker.metadata.image.feature_level("group.version") == 1


@pytest.mark.usefixtures("announced")
@pytest.mark.parametrize("version", [0, 1, 2])
async def test_a_bad_update_is_refused_at_the_top_and_nothing_changes(version: int) -> None:
    broker = await node()
    updates = [update("transaction.version", 1, SAFE_DOWNGRADE), update("metadata.version", 7)]
    response = await broker.ask(update_features, version, UpdateFeaturesRequest(feature_updates=updates))
    assert (response.error_code, list(response.results)) == (ErrorCode.INVALID_UPDATE_VERSION, [])
    assert response.error_message
    assert (broker.metadata.image.features_epoch, broker.metadata.image.chosen_levels) == (0, {})


@pytest.mark.usefixtures("announced")
async def test_validating_changes_nothing() -> None:
    broker = await node()
    request = UpdateFeaturesRequest(feature_updates=[update("group.version", 0, SAFE_DOWNGRADE)], validate_only=True)
    assert (await broker.ask(update_features, 2, request)).error_code == 0
    assert broker.metadata.image.features_epoch == 0
