"""What an assignor is given and what it answers. Source: KIP-848; Kafka's `GroupSpec` and `GroupAssignment`, 4.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

Assignment = dict[str, dict[bytes, frozenset[int]]]
"""Member id -> topic id -> partitions. Every member is in it; topics of which a member gets nothing are not."""


class SubscribedMember(msgspec.Struct, frozen=True, kw_only=True):
    """`topics` are ids of what it subscribes to, `assigned` what the target assignment of now gives it."""

    member_id: str
    group_instance_id: str | None = None
    rack_id: str | None = None
    topics: frozenset[bytes] = frozenset()
    assigned: Mapping[bytes, frozenset[int]] = msgspec.field(default_factory=dict)


class Assignor(Protocol):
    def __call__(self, members: Sequence[SubscribedMember], partition_counts: Mapping[bytes, int]) -> Assignment:
        """The next target assignment. Each partition of a topic that somebody subscribes to gets one owner, who does.

        Topics that are not in `partition_counts` do not exist and are left out. The same input gives the same output,
        in whatever order members come. `assigned` gives each partition to one member at most.
        """
        ...
