"""The target assignment of a group's epoch, made by one of the server's assignors.

Source: Kafka's `TargetAssignmentBuilder` and `GroupMetadataManager.updateTargetAssignment`, 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.core.group.assignment import ASSIGNORS, SubscribedMember
from mainstem.core.group.cluster_view import ClusterView
from mainstem.core.group.consumer_member import NO_PARTITIONS, ConsumerMember, Partitions, stored_partitions
from mainstem.core.group.consumer_records import TargetAssignmentStored, TargetEpochStored
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.turn import Turn


def update_target(
    turn: Turn, group: ConsumerGroup, epoch: int, old: ConsumerMember | None, updated: ConsumerMember
) -> Partitions:
    """Write the target of `epoch`, in which `old` is `updated`; returns the part of `updated`. Only what changed is written."""
    members = {**group.members, updated.member_id: updated}
    previous_id = None if updated.instance_id is None else group.static_members.get(updated.instance_id)
    if previous_id is not None and previous_id != updated.member_id:
        # The instance came back under a new id and takes the old one's place, partitions and all.
        members.pop(previous_id, None)
    name = group.preferred_assignor(old, updated)
    if name not in turn.settings.consumer_assignors:
        # Nobody asked for one, or what was asked for once is no longer among those that are allowed.
        name = turn.settings.consumer_assignors[0]
    cluster = turn.cluster
    subscribed = [
        SubscribedMember(
            member_id=member_id,
            group_instance_id=member.instance_id,
            rack_id=member.rack_id,
            topics=_topic_ids(cluster, group, member),
            assigned=group.targets.get(
                previous_id if member is updated and previous_id is not None else member_id, NO_PARTITIONS
            ),
        )
        for member_id, member in members.items()
    ]
    counts = _partition_counts(cluster, subscribed)
    assignment = ASSIGNORS[name](subscribed, counts)
    for member_id in members:
        target = {t: p for t, p in assignment.get(member_id, {}).items() if p}
        if target != group.targets.get(member_id):
            turn.write(
                TargetAssignmentStored(
                    group_id=group.group_id, member_id=member_id, partitions=stored_partitions(target)
                )
            )
    turn.write(TargetEpochStored(group_id=group.group_id, epoch=epoch))
    return {t: p for t, p in assignment.get(updated.member_id, {}).items() if p}


def _topic_ids(cluster: ClusterView, group: ConsumerGroup, member: ConsumerMember) -> frozenset[bytes]:
    names = member.topics
    resolved = group.regexes.get(member.regex) if member.regex else None
    if resolved is not None:
        names |= resolved.topics
    return frozenset(topic.topic_id for topic in map(cluster.topic, names) if topic is not None)


def _partition_counts(cluster: ClusterView, members: list[SubscribedMember]) -> Mapping[bytes, int]:
    counts = {}
    for topic_id in frozenset[bytes]().union(*(member.topics for member in members)):
        topic = cluster.topic(cluster.topic_name(topic_id) or "")
        if topic is not None:
            counts[topic_id] = topic.partition_count
    return counts
