"""THE table of features: what the broker can do at which level, and at which level a new cluster starts.

A feature is announced when what it stands for works (KIP-584): clients turn the protocol on as soon as they see it. Names and
levels are those of Apache Kafka 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GROUP_VERSION = "group.version"
TRANSACTION_VERSION = "transaction.version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Level 0 means the feature is off. `level` is what a new cluster starts with; UpdateFeatures changes it."""

    name: str
    level_max: int
    level: int
    is_announced: bool
    meaning: str
    level_min: int = 0


ALL_FEATURES = (
    Feature(
        name=GROUP_VERSION,
        level_max=1,
        level=1,
        is_announced=True,
        meaning="1: the consumer group protocol (KIP-848).",
    ),
    Feature(
        name=TRANSACTION_VERSION,
        level_max=2,
        level=2,
        is_announced=True,
        meaning="1: flexible records in the transaction log. 2: one producer epoch per transaction (KIP-890).",
    ),
)

FEATURES: Mapping[str, Feature] = {feature.name: feature for feature in ALL_FEATURES if feature.is_announced}
"""What is supported, as ApiVersions tells it."""
