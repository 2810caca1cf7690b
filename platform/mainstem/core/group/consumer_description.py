"""What ConsumerGroupDescribe tells. Source: Kafka's `ConsumerGroup.asDescribedGroup`, 4.1."""

from __future__ import annotations

from mainstem.core.group.cluster_view import ClusterView
from mainstem.core.group.commands import DescribeConsumerGroup
from mainstem.core.group.consumer_member import NO_PARTITIONS, ConsumerMember, Partitions
from mainstem.core.group.consumer_requests import Group, not_consumer
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.results import (
    ConsumerDescribeResult,
    ConsumerGroupDescription,
    ConsumerMemberDescription,
    TopicPartitionsDescription,
)
from mainstem.core.group.turn import Turn


def describe(turn: Turn, group: Group | None, command: DescribeConsumerGroup) -> None:
    if not isinstance(group, ConsumerGroup):
        refusal = not_consumer(command.group_id, group)
        description = ConsumerGroupDescription(
            error=refusal.error, error_message=refusal.message, group_id=command.group_id
        )
    else:
        description = ConsumerGroupDescription(
            group_id=group.group_id,
            state=group.state,
            epoch=group.epoch,
            target_epoch=group.target_epoch,
            assignor=group.preferred_assignor(None, None) or turn.settings.consumer_assignors[0],
            members=tuple(_member(turn.cluster, group, member) for member in group.members.values()),
        )
    turn.reply(command.token, ConsumerDescribeResult(group=description))


def _member(cluster: ClusterView, group: ConsumerGroup, member: ConsumerMember) -> ConsumerMemberDescription:
    return ConsumerMemberDescription(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.member_epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        topics=tuple(sorted(member.topics)),
        regex=member.regex,
        assignment=_partitions(cluster, member.assigned),
        target=_partitions(cluster, group.targets.get(member.member_id, NO_PARTITIONS)),
        speaks_classic=member.speaks_classic,
    )


def _partitions(cluster: ClusterView, partitions: Partitions) -> tuple[TopicPartitionsDescription, ...]:
    """Topics that do not exist any more are left out."""
    named = ((topic_id, cluster.topic_name(topic_id), indexes) for topic_id, indexes in partitions.items())
    return tuple(
        TopicPartitionsDescription(topic_id, name, tuple(sorted(indexes)))
        for topic_id, name, indexes in named
        if name is not None
    )
