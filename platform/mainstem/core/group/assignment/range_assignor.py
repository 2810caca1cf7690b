"""Contiguous ranges of every topic, the same ranges for topics with as many partitions and the same subscribers.

That is what joins of co-partitioned topics stand on, so it goes before keeping partitions where they are: a
member's range follows from its place among the members alone. Static members come first, in the order of their instance ids,
so that a restart under a new member id moves nothing.

    5 partitions, 2 members:   [0 1 2] [3 4]

Source: Kafka's `RangeAssignor`, 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainstem.core.group.assignment.specification import Assignment, SubscribedMember


def assign(members: Sequence[SubscribedMember], partition_counts: Mapping[bytes, int]) -> Assignment:
    """See `specification.Assignor`."""
    assignment: Assignment = {member.member_id: {} for member in members}
    subscribers: dict[bytes, list[str]] = {}
    for member in sorted(members, key=_place):
        for topic in member.topics:
            if topic in partition_counts:
                subscribers.setdefault(topic, []).append(member.member_id)
    for topic, member_ids in subscribers.items():
        size, extra = divmod(partition_counts[topic], len(member_ids))
        start = 0
        for index, member_id in enumerate(member_ids):
            end = start + size + (index < extra)
            if end > start:
                assignment[member_id][topic] = frozenset(range(start, end))
            start = end
    return assignment


def _place(member: SubscribedMember) -> tuple[bool, str]:
    is_dynamic = member.group_instance_id is None
    return is_dynamic, member.member_id if member.group_instance_id is None else member.group_instance_id
