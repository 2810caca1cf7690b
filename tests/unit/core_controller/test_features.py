"""UpdateFeatures as plans: what Kafka's controller accepts and refuses, on a table of features of the test's own."""

from __future__ import annotations

import pytest

from mainstem.core.controller.features import FeaturePlan, FeatureUpdate, UpgradeType, plan_feature_updates
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.cluster import FeatureLevelChanged
from mainstem.model.errors import ErrorCode
from mainstem.model.features import ALL_FEATURES, FEATURES, Feature

UP, SAFE, UNSAFE = UpgradeType.UPGRADE, UpgradeType.SAFE_DOWNGRADE, UpgradeType.UNSAFE_DOWNGRADE


@pytest.fixture(autouse=True)
def features(monkeypatch: pytest.MonkeyPatch) -> None:
    """`new.version` 1–3, a cluster starts with 2; `old.version` 0–1, a cluster starts with 1."""
    for name in tuple(FEATURES):
        monkeypatch.delitem(FEATURES, name)  # type: ignore[arg-type]  # a dict, seen as a Mapping
    for name, low, high, level in (("new.version", 1, 3, 2), ("old.version", 0, 1, 1)):
        feature = Feature(name=name, level_min=low, level_max=high, level=level, is_announced=True, meaning="")
        monkeypatch.setitem(FEATURES, name, feature)  # type: ignore[arg-type]  # a dict, seen as a Mapping


def plan(*updates: tuple[str, int, int], image: MetadataImage | None = None) -> FeaturePlan:
    wanted = [FeatureUpdate(name=name, level=level, upgrade_type=kind) for name, level, kind in updates]
    return plan_feature_updates(image or MetadataImage(), wanted)


def changed(name: str, level: int, epoch: int) -> FeatureLevelChanged:
    return FeatureLevelChanged(name=name, level=level, epoch=epoch)


def test_a_cluster_starts_with_the_levels_of_the_table() -> None:
    image = MetadataImage()
    assert [image.feature_level(name) for name in ("new.version", "old.version", "no.version")] == [2, 1, 0]


@pytest.mark.parametrize(
    ("name", "level", "kind"),
    [("new.version", 3, UP), ("new.version", 1, SAFE), ("new.version", 1, UNSAFE), ("old.version", 0, SAFE)],
)
def test_a_level_within_the_range_is_set_in_its_direction(name: str, level: int, kind: int) -> None:
    planned = plan((name, level, kind))
    assert planned == FeaturePlan(changes=(changed(name, level, 1),))
    image = MetadataImage().apply_all(planned.changes)
    assert (image.feature_level(name), image.features_epoch) == (level, 1)


@pytest.mark.parametrize("kind", [UP, SAFE, UNSAFE])
def test_the_level_that_is_set_already_changes_nothing(kind: int) -> None:
    assert plan(("new.version", 2, kind)) == FeaturePlan()


@pytest.mark.parametrize(
    ("name", "level", "kind", "reason"),
    [
        ("new.version", 1, UP, "downgrade"),
        ("new.version", 3, SAFE, "upgrade"),
        ("new.version", 3, UNSAFE, "upgrade"),
        ("new.version", 4, UP, "1 to 3"),
        ("new.version", 0, SAFE, "1 to 3"),
        ("new.version", -1, SAFE, "0 or more"),
        ("new.version", 3, 0, "upgrade type 0"),
        ("new.version", 3, 4, "upgrade type 4"),
        ("no.version", 1, UP, "new.version, old.version"),
        ("", 1, UP, "new.version, old.version"),
    ],
)
def test_a_level_that_cannot_be_is_refused_with_the_reason(name: str, level: int, kind: int, reason: str) -> None:
    planned = plan((name, level, kind))
    assert (planned.error, planned.changes) == (ErrorCode.INVALID_UPDATE_VERSION, ())
    assert repr(name) in (planned.message or "")
    assert reason in (planned.message or "")


def test_one_bad_update_stops_the_good_ones() -> None:
    planned = plan(("new.version", 3, UP), ("old.version", 2, UP))
    assert (planned.error, planned.changes) == (ErrorCode.INVALID_UPDATE_VERSION, ())


def test_every_change_has_a_newer_epoch() -> None:
    first = plan(("new.version", 3, UP), ("old.version", 0, SAFE))
    image = MetadataImage().apply_all(first.changes)
    second = plan(("old.version", 1, UP), image=image)
    assert [change.epoch for change in (*first.changes, *second.changes)] == [1, 2, 3]
    assert image.apply_all(second.changes).features_epoch == 3


def test_of_two_updates_of_a_feature_the_last_counts() -> None:
    assert plan(("new.version", 3, UP), ("new.version", 1, SAFE)).changes == (changed("new.version", 1, 1),)


def test_a_level_that_this_release_does_not_know_is_taken_for_its_highest() -> None:
    assert MetadataImage().apply(changed("new.version", 9, 1)).feature_level("new.version") == 3


def test_all_features_have_levels_that_fit() -> None:
    assert [f.name for f in ALL_FEATURES if not f.level_min <= f.level <= f.level_max] == []
