"""ConsumerGroupDescribe, v0–1 (KIP-848). v1: which protocol each member speaks (KIP-1099)."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.broker.context import RequestContext
from mainstem.broker.operations import GROUP_OPERATIONS, UNKNOWN_OPERATIONS
from mainstem.broker.services import Services
from mainstem.core.group.commands import DescribeConsumerGroup
from mainstem.core.group.results import (
    ConsumerDescribeResult,
    ConsumerMemberDescription,
    TopicPartitionsDescription,
)
from mainstem.model.errors import ErrorCode
from mainstem.model.features import GROUP_VERSION
from mainstem.runtime.coordinator_topic import settled
from mainstem.wire.messages.consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
    Member,
    TopicPartitions,
)

CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1


async def handle(
    context: RequestContext, services: Services, request: ConsumerGroupDescribeRequest
) -> ConsumerGroupDescribeResponse:
    if services.metadata.image.feature_level(GROUP_VERSION) < 1:
        return ConsumerGroupDescribeResponse(
            groups=[DescribedGroup(group_id=g, error_code=ErrorCode.UNSUPPORTED_VERSION) for g in request.group_ids]
        )
    operations = GROUP_OPERATIONS if request.include_authorized_operations else UNKNOWN_OPERATIONS

    def render(result: ConsumerDescribeResult) -> DescribedGroup:
        return _group(result, operations)

    outcomes = [services.groups.submit(DescribeConsumerGroup(group_id=g), render) for g in request.group_ids]
    return ConsumerGroupDescribeResponse(groups=await settled(outcomes))


def _group(result: ConsumerDescribeResult, operations: int) -> DescribedGroup:
    group = result.group
    return DescribedGroup(
        error_code=group.error,
        error_message=group.error_message,
        group_id=group.group_id,
        group_state=group.state,
        group_epoch=group.epoch,
        assignment_epoch=group.target_epoch,
        assignor_name=group.assignor,
        members=[_member(member) for member in group.members],
        authorized_operations=operations if group.error is ErrorCode.NONE else UNKNOWN_OPERATIONS,
    )


def _member(member: ConsumerMemberDescription) -> Member:
    return Member(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.member_epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=member.topics,
        subscribed_topic_regex=member.regex,
        assignment=_assignment(member.assignment),
        target_assignment=_assignment(member.target),
        member_type=CLASSIC_MEMBER if member.speaks_classic else CONSUMER_MEMBER,
    )


def _assignment(topics: Sequence[TopicPartitionsDescription]) -> Assignment:
    return Assignment(
        topic_partitions=[
            TopicPartitions(topic_id=t.topic_id, topic_name=t.topic, partitions=t.partitions) for t in topics
        ]
    )
