"""What an operator may set of groups and committed offsets. Defaults are Apache Kafka 4.1's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_INT32_MAX = 2**31 - 1


class MigrationPolicy(Enum):
    """Whether a live group may change its protocol when members of the other one join it or stay alone in it."""

    BIDIRECTIONAL = "bidirectional"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    DISABLED = "disabled"

    @property
    def allows_upgrade(self) -> bool:
        return self in (MigrationPolicy.BIDIRECTIONAL, MigrationPolicy.UPGRADE)

    @property
    def allows_downgrade(self) -> bool:
        return self in (MigrationPolicy.BIDIRECTIONAL, MigrationPolicy.DOWNGRADE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """Field names are the broker's config keys with dots turned into underscores, in ms where a time has no
    unit there."""

    group_min_session_timeout_ms: int = 6_000
    group_max_session_timeout_ms: int = 1_800_000
    group_initial_rebalance_delay_ms: int = 3_000
    group_max_size: int = _INT32_MAX
    offset_metadata_max_bytes: int = 4_096
    offsets_retention_ms: int = 10_080 * 60_000
    offsets_retention_check_interval_ms: int = 600_000
    new_member_join_timeout_ms: int = 300_000
    """No config in Kafka either: how long a joining member may be parked before it counts as gone."""
    consumer_assignors: tuple[str, ...] = ("uniform", "range")
    """`group.consumer.assignors`: what members may ask for; the first is for those who do not."""
    consumer_max_size: int = _INT32_MAX
    consumer_migration_policy: MigrationPolicy = MigrationPolicy.BIDIRECTIONAL
    consumer_regex_refresh_interval_ms: int = 600_000
