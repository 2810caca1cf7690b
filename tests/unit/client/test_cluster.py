"""What the client does about brokers that are not ready, not right, or not sane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.client.admin import Admin
from mainstem.client.cluster import GROUP, Cluster
from mainstem.client.connection import Connection
from mainstem.client.errors import RefusedError, UnreachableError
from mainstem.client.group_descriptions import read_assignment
from mainstem.client.groups import Groups
from mainstem.client.kafka_errors import description, exception_class
from mainstem.client.offsets import LATEST, MAX_TIMESTAMP, known_offsets, list_offsets
from mainstem.client.topics import PartitionInfo, Topics
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import consumer_group_describe, describe_groups, list_groups
from mainstem.wire.messages.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from mainstem.wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from mainstem.wire.messages.find_coordinator import Coordinator, FindCoordinatorResponse
from mainstem.wire.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from mainstem.wire.messages.metadata import MetadataResponsePartition, MetadataResponseTopic

from .conftest import FakeBroker

PARTITION = TopicPartition("t", 0)


def coordinated(fake: FakeBroker, *codes: ErrorCode) -> None:
    """FindCoordinator fails with these first."""
    left = list(codes)

    def answer(request: Any) -> FindCoordinatorResponse:
        code = left.pop(0) if left else ErrorCode.NONE
        found = Coordinator(
            key=request.coordinator_keys[0], node_id=1, host="127.0.0.1", port=fake.port, error_code=code
        )
        return FindCoordinatorResponse(coordinators=[found])

    fake.answers[ApiKey.FIND_COORDINATOR] = answer


def topic(leader: int) -> MetadataResponseTopic:
    partition = MetadataResponsePartition(partition_index=0, leader_id=leader, replica_nodes=[1], isr_nodes=[1])
    return MetadataResponseTopic(name="t", partitions=[partition])


def test_a_coordinator_that_is_not_there_yet_is_asked_for_again(fake: FakeBroker, cluster: Cluster) -> None:
    coordinated(fake, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    assert cluster.coordinator(GROUP, "g").id == 1
    assert len(fake.requests(ApiKey.FIND_COORDINATOR)) == 3


def test_a_coordinator_that_is_refused_is_not_asked_for_again(fake: FakeBroker, cluster: Cluster) -> None:
    coordinated(fake, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(RefusedError, match=r"Group authorization failed\."):
        cluster.coordinator(GROUP, "g")
    assert len(fake.requests(ApiKey.FIND_COORDINATOR)) == 1


def test_a_coordinator_that_has_moved_is_looked_for_anew(fake: FakeBroker, cluster: Cluster) -> None:
    coordinated(fake)
    codes = [ErrorCode.NOT_COORDINATOR, ErrorCode.NONE]
    fake.answers[ApiKey.DELETE_GROUPS] = lambda request: DeleteGroupsResponse(
        results=[DeletableGroupResult(group_id="g", error_code=codes.pop(0))]
    )
    assert Groups(cluster).delete(["g"]) == {"g": None}
    assert len(fake.requests(ApiKey.FIND_COORDINATOR)) == 2


def test_what_never_becomes_right_ends_with_its_error(fake: FakeBroker) -> None:
    coordinated(fake, *[ErrorCode.COORDINATOR_NOT_AVAILABLE] * 1000)
    with (
        Cluster.connect(Connection(bootstrap_servers=fake.bootstrap), api_timeout_s=0.3) as cluster,
        pytest.raises(RefusedError, match="The coordinator is not available"),
    ):
        cluster.coordinator(GROUP, "g")


def test_any_bootstrap_address_is_enough(fake: FakeBroker) -> None:
    with Cluster.connect(Connection(bootstrap_servers=f"127.0.0.1:1,{fake.bootstrap}")) as cluster:
        assert [node.address for node in cluster.nodes()] == [fake.bootstrap]
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1: Connection refused"):
        Cluster.connect(Connection(bootstrap_servers="127.0.0.1:1"))


def test_a_broker_that_is_not_in_the_metadata_is_refused(cluster: Cluster) -> None:
    with pytest.raises(RefusedError, match="there is no broker 7"):
        cluster.broker(7)


def test_a_partition_without_leader_is_told_from_one_that_does_not_exist(fake: FakeBroker, cluster: Cluster) -> None:
    fake.answers[ApiKey.METADATA] = lambda request: fake.metadata([topic(leader=-1)])
    absent = TopicPartition("t", 1)
    found = list_offsets(cluster, [PARTITION, absent], LATEST)
    assert found[PARTITION].error is ErrorCode.LEADER_NOT_AVAILABLE
    assert found[absent].error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_offsets_wait_for_a_leader(fake: FakeBroker, cluster: Cluster) -> None:
    leaders = iter([-1, -1, *[1] * 100])
    fake.answers[ApiKey.METADATA] = lambda request: fake.metadata([topic(next(leaders))] if request.topics else [])
    found = ListOffsetsPartitionResponse(partition_index=0, offset=42)
    fake.answers[ApiKey.LIST_OFFSETS] = lambda request: ListOffsetsResponse(
        topics=[ListOffsetsTopicResponse(name="t", partitions=[found])]
    )
    assert known_offsets(cluster, [PARTITION], LATEST) == {PARTITION: 42}


def test_an_old_broker_is_not_asked_for_what_it_would_misunderstand(fake: FakeBroker, cluster: Cluster) -> None:
    """-3 as a timestamp was an ordinary time before version 7 of ListOffsets: the answer would be the first offset."""
    fake.answers[ApiKey.METADATA] = lambda request: fake.metadata([topic(1)])
    fake.answers[ApiKey.LIST_OFFSETS] = lambda request: ListOffsetsResponse()
    fake.newest[ApiKey.LIST_OFFSETS] = 6
    with pytest.raises(RefusedError, match="too old for the time -3"):
        list_offsets(cluster, [PARTITION], MAX_TIMESTAMP)


def pages(*cursors: Cursor | None) -> Iterator[DescribeTopicPartitionsResponse]:
    for number, cursor in enumerate(cursors):
        partition = DescribeTopicPartitionsResponsePartition(partition_index=number, leader_id=1)
        part = DescribeTopicPartitionsResponseTopic(name="t", partitions=[partition])
        yield DescribeTopicPartitionsResponse(topics=[part], next_cursor=cursor)


def test_pages_of_partitions_are_put_together(fake: FakeBroker, cluster: Cluster) -> None:
    answers = pages(Cursor(topic_name="t", partition_index=1), Cursor(topic_name="t", partition_index=2), None)
    fake.answers[ApiKey.DESCRIBE_TOPIC_PARTITIONS] = lambda request: next(answers)
    (described,) = Topics(cluster).describe(["t"], page_size=1)
    assert [each.partition for each in described.partitions] == [0, 1, 2]
    asked = fake.requests(ApiKey.DESCRIBE_TOPIC_PARTITIONS)
    assert [request.cursor.partition_index if request.cursor else None for request in asked] == [None, 1, 2]


def test_eligible_leader_replicas_are_unknown_where_no_broker_tells_them(fake: FakeBroker, cluster: Cluster) -> None:
    fake.answers[ApiKey.METADATA] = lambda request: fake.metadata([topic(-1)])
    (described,) = Topics(cluster).describe(["t"])
    expected = PartitionInfo(partition=0, leader=None, replicas=(1,), isr=(1,), elr=None, last_known_elr=None)
    assert described.partitions == (expected,)


def test_eligible_leader_replicas_that_a_broker_tells_are_known_if_none(fake: FakeBroker, cluster: Cluster) -> None:
    told = DescribeTopicPartitionsResponsePartition(
        partition_index=0, leader_id=1, replica_nodes=[1], isr_nodes=[1], eligible_leader_replicas=[2]
    )
    described = DescribeTopicPartitionsResponseTopic(name="t", partitions=[told])
    answer = DescribeTopicPartitionsResponse(topics=[described])
    fake.answers[ApiKey.DESCRIBE_TOPIC_PARTITIONS] = lambda request: answer
    (found,) = Topics(cluster).describe(["t"])
    expected = PartitionInfo(partition=0, leader=1, replicas=(1,), isr=(1,), elr=(2,), last_known_elr=())
    assert found.partitions == (expected,)


def test_pages_that_never_end_are_refused(fake: FakeBroker, cluster: Cluster) -> None:
    def answer(request: Any) -> DescribeTopicPartitionsResponse:
        return next(pages(Cursor(topic_name="t", partition_index=0)))

    fake.answers[ApiKey.DESCRIBE_TOPIC_PARTITIONS] = answer
    with pytest.raises(RefusedError, match="do not advance"):
        Topics(cluster).describe(["t"])


def test_a_group_is_described_by_brokers_of_before_the_consumer_protocol(fake: FakeBroker, cluster: Cluster) -> None:
    coordinated(fake)
    member = describe_groups.DescribedGroupMember(
        member_id="m", client_id="c", client_host="/h", member_assignment=b"x"
    )
    group = describe_groups.DescribedGroup(
        group_id="g", group_state="Stable", protocol_type="consumer", members=[member]
    )
    fake.answers[ApiKey.DESCRIBE_GROUPS] = lambda request: describe_groups.DescribeGroupsResponse(groups=[group])
    described = Groups(cluster).describe("g")
    assert (described.type, described.state, described.members[0].assignment) == ("Classic", "Stable", ())


def test_a_group_that_old_brokers_call_dead_does_not_exist(fake: FakeBroker, cluster: Cluster) -> None:
    coordinated(fake)
    fake.newest[ApiKey.DESCRIBE_GROUPS] = 5
    dead = describe_groups.DescribedGroup(group_id="g", group_state="Dead")
    fake.answers[ApiKey.DESCRIBE_GROUPS] = lambda request: describe_groups.DescribeGroupsResponse(groups=[dead])
    with pytest.raises(RefusedError, match=r"Group g not found\.") as refused:
        Groups(cluster).describe("g")
    assert refused.value.as_java == "org.apache.kafka.common.errors.GroupIdNotFoundException: Group g not found."


def test_a_group_of_the_consumer_protocol_tells_epochs_and_targets(fake: FakeBroker, cluster: Cluster) -> None:
    coordinated(fake)
    partitions = consumer_group_describe.TopicPartitions(topic_name="t", partitions=[1, 0])
    target = consumer_group_describe.Assignment(topic_partitions=[partitions])
    member = consumer_group_describe.Member(member_id="m", member_epoch=4, target_assignment=target, member_type=0)
    group = consumer_group_describe.DescribedGroup(
        group_id="g", group_state="Reconciling", group_epoch=6, assignment_epoch=5, members=[member]
    )
    fake.answers[ApiKey.CONSUMER_GROUP_DESCRIBE] = lambda request: (
        consumer_group_describe.ConsumerGroupDescribeResponse(groups=[group])
    )
    described = Groups(cluster).describe("g")
    (shown,) = described.members
    assert (described.group_epoch, described.target_assignment_epoch) == (6, 5)
    assert (shown.member_epoch, shown.is_upgraded) == (4, False)
    assert shown.target_assignment == (TopicPartition("t", 0), TopicPartition("t", 1))


def test_consumer_groups_are_those_that_consumers_make(fake: FakeBroker, cluster: Cluster) -> None:
    groups = [
        list_groups.ListedGroup(group_id="new", protocol_type="consumer", group_type="consumer"),
        list_groups.ListedGroup(group_id="old", protocol_type="consumer", group_type="classic"),
        list_groups.ListedGroup(group_id="only-commits", protocol_type="", group_type="classic"),
        list_groups.ListedGroup(group_id="workers", protocol_type="connect", group_type="classic"),
        list_groups.ListedGroup(group_id="shared", protocol_type="share", group_type="share"),
    ]
    fake.answers[ApiKey.LIST_GROUPS] = lambda request: list_groups.ListGroupsResponse(groups=groups)
    assert [each.group for each in Groups(cluster).consumer_listings()] == ["new", "old", "only-commits"]
    assert len(Groups(cluster).listings()) == 5


def test_an_administrator_closes_what_it_opened(fake: FakeBroker) -> None:
    with Admin.connect(Connection(bootstrap_servers=fake.bootstrap)) as admin:
        assert admin.brokers() == [1]
        assert not admin.can_list_configured
        assert admin.configured("group") == []


@given(st.binary(max_size=200))
def test_whatever_a_member_wrote_as_its_assignment_is_read_or_left(assignment: bytes) -> None:
    assert isinstance(read_assignment(assignment), tuple)


def test_every_error_has_a_class_and_a_sentence() -> None:
    assert exception_class(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION).endswith(".UnknownTopicOrPartitionException")
    assert exception_class(ErrorCode.NON_EMPTY_GROUP).endswith(".GroupNotEmptyException")
    for code in ErrorCode:
        assert exception_class(code).startswith("org.apache.kafka.common.errors.")
        assert description(code)
