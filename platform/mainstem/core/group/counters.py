"""What a shard of groups has done since it was loaded, for metrics. Replay counts nothing: others did that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class GroupCounters:
    """Records that were appended. `classic_rebalances` counts generations whose assignment is stored, `consumer_rebalances`
    new epochs of groups; those that a leaving member causes are among them, which Kafka's own number leaves out."""

    offset_commits: int = 0
    offset_expirations: int = 0
    offset_deletions: int = 0
    classic_rebalances: int = 0
    consumer_rebalances: int = 0
