"""What a group looks like from outside, whichever protocol its members speak (DescribeGroups, ConsumerGroupDescribe)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from mainstem.client.cluster import GROUP, Cluster, Node
from mainstem.client.errors import RefusedError, check
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from mainstem.wire.messages.consumer_group_describe import DescribedGroup as ConsumerGroup
from mainstem.wire.messages.consumer_group_describe import Member as ConsumerMember
from mainstem.wire.messages.describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from mainstem.wire.schema import Message

CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1
"""`member_type` of ConsumerGroupDescribe; -1 where the broker is too old to tell."""
DEAD = "Dead"
_NOT_THIS_KIND = frozenset({ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.UNSUPPORTED_VERSION})


class MemberInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`host` as Kafka prints it, with a slash in front; `group_instance_id` is empty for a dynamic member.

    `member_epoch`, `target_assignment` and `is_upgraded` are known of groups of the consumer protocol only.
    """

    member_id: str
    group_instance_id: str
    client_id: str
    host: str
    assignment: tuple[TopicPartition, ...]
    member_epoch: int | None = None
    target_assignment: tuple[TopicPartition, ...] = ()
    is_upgraded: bool | None = None


class GroupInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`state` as Kafka writes it; the epochs are known of groups of the consumer protocol only."""

    group: str
    type: str
    state: str
    assignor: str
    coordinator: str
    coordinator_id: int
    members: tuple[MemberInfo, ...]
    group_epoch: int | None = None
    target_assignment_epoch: int | None = None


def describe_group(cluster: Cluster, group: str) -> GroupInfo:
    """Asks in the consumer protocol first, as Java's client does. Raises: RefusedError, UnreachableError."""
    node = cluster.coordinator(GROUP, group)
    try:
        request = ConsumerGroupDescribeRequest(group_ids=[group])
        answer = _ask(cluster, group, ApiKey.CONSUMER_GROUP_DESCRIBE, request)
        assert isinstance(answer, ConsumerGroupDescribeResponse), answer
        check(answer.groups[0].error_code, answer.groups[0].error_message)
        return _of_consumer(node, answer.groups[0])
    except RefusedError as error:
        if error.code not in _NOT_THIS_KIND:
            raise
    answer = _ask(cluster, group, ApiKey.DESCRIBE_GROUPS, DescribeGroupsRequest(groups=[group]))
    assert isinstance(answer, DescribeGroupsResponse), answer
    described = answer.groups[0]
    check(described.error_code, described.error_message)
    if described.group_state == DEAD:
        # Versions before 6 answer without an error for a group that nobody knows.
        raise RefusedError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group} not found.")
    return _of_classic(node, described)


def _ask(cluster: Cluster, group: str, api: ApiKey, request: Message) -> Message:
    return cluster.ask_coordinator(GROUP, group, api, request, 32767, _error_of)


def _error_of(answer: Message) -> int:
    assert isinstance(answer, ConsumerGroupDescribeResponse | DescribeGroupsResponse), answer
    return answer.groups[0].error_code


def _of_consumer(node: Node, described: ConsumerGroup) -> GroupInfo:
    return GroupInfo(
        group=described.group_id,
        type="Consumer",
        state=described.group_state,
        assignor=described.assignor_name,
        coordinator=node.address,
        coordinator_id=node.id,
        members=tuple(_consumer_member(member) for member in described.members),
        group_epoch=described.group_epoch,
        target_assignment_epoch=described.assignment_epoch,
    )


def _consumer_member(member: ConsumerMember) -> MemberInfo:
    return MemberInfo(
        member_id=member.member_id,
        group_instance_id=member.instance_id or "",
        client_id=member.client_id,
        host=member.client_host,
        assignment=_partitions(member.assignment),
        member_epoch=member.member_epoch,
        target_assignment=_partitions(member.target_assignment),
        is_upgraded=None if member.member_type < CLASSIC_MEMBER else member.member_type == CONSUMER_MEMBER,
    )


def _partitions(assignment: Assignment) -> tuple[TopicPartition, ...]:
    return tuple(
        sorted(
            TopicPartition(topic.topic_name, number)
            for topic in assignment.topic_partitions
            for number in topic.partitions
        )
    )


def _of_classic(node: Node, described: DescribedGroup) -> GroupInfo:
    is_of_consumers = described.protocol_type == "consumer"
    return GroupInfo(
        group=described.group_id,
        type="Classic",
        state=described.group_state,
        assignor=described.protocol_data,
        coordinator=node.address,
        coordinator_id=node.id,
        members=tuple(_classic_member(member, is_of_consumers) for member in described.members),
    )


def _classic_member(member: DescribedGroupMember, is_of_consumers: bool) -> MemberInfo:
    return MemberInfo(
        member_id=member.member_id,
        group_instance_id=member.group_instance_id or "",
        client_id=member.client_id,
        host=member.client_host,
        assignment=read_assignment(member.member_assignment) if is_of_consumers else (),
    )


def read_assignment(assignment: bytes) -> tuple[TopicPartition, ...]:
    """What the leader of a classic group gave to a consumer (`ConsumerProtocolAssignment`); () if it is not readable.

    Clients write these bytes, and a broker passes on whatever they wrote.
    """
    if not assignment:
        return ()
    try:
        return tuple(sorted(_read_topics(memoryview(assignment))))
    except (struct.error, UnicodeDecodeError):
        return ()


def _read_topics(buffer: memoryview) -> Sequence[TopicPartition]:
    _, topics = struct.unpack_from(">hi", buffer, 0)
    position, found = 6, []
    for _ in range(topics):
        (size,) = struct.unpack_from(">h", buffer, position)
        name = str(buffer[position + 2 : position + 2 + size], "utf-8")
        position += 2 + size
        (count,) = struct.unpack_from(">i", buffer, position)
        if not 0 <= count <= len(buffer):
            raise struct.error("a count that cannot be")
        found += [TopicPartition(name, number) for number in struct.unpack_from(f">{count}i", buffer, position + 4)]
        position += 4 + 4 * count
    return found
