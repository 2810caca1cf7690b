"""ConsumerGroupHeartbeat, ConsumerGroupDescribe and OffsetDelete: bytes of a request in, bytes of a response out."""

from __future__ import annotations

from typing import Any

import pytest
from group_client import GroupClient

from mainstem.core.group.cluster_view import ConsumerTimeouts
from mainstem.model.cluster import (
    ConfigChanged,
    FeatureLevelChanged,
    PartitionsAdded,
    TopicDeleted,
)
from mainstem.model.errors import ErrorCode
from mainstem.runtime.group_cluster import GroupCluster
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.consumer_group_heartbeat import TopicPartitions
from mainstem.wire.messages.describe_groups import DescribeGroupsRequest
from mainstem.wire.messages.list_groups import ListGroupsRequest
from mainstem.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)

JOINS = {"rebalance_timeout_ms": 60_000, "subscribed_topic_names": ["orders"], "topic_partitions": []}


@pytest.mark.parametrize("version", [0, 1])
async def test_a_member_joins_and_learns_what_it_has(client: GroupClient, version: int) -> None:
    joined = await client.beat("m", 0, version, **JOINS)
    assert (joined.error_code, joined.member_id, joined.member_epoch) == (0, "m", 1)
    assert joined.heartbeat_interval_ms == 5_000
    (topic,) = joined.assignment.topic_partitions
    assert (topic.topic_id, list(topic.partitions)) == (client.world.cluster.id_of("orders"), [0, 1])
    steady = await client.beat("m", 1, version)
    assert (steady.error_code, steady.assignment) == (0, None)


async def test_version_0_gives_an_id_to_those_without(client: GroupClient) -> None:
    assert (await client.beat("", 0, 0, **JOINS)).member_id == "uuid-1"
    refused = await client.beat("", 0, 1, **JOINS)
    assert (refused.error_code, refused.error_message) == (ErrorCode.INVALID_REQUEST, "MemberId can't be empty.")


async def test_what_a_member_owns_is_read_topic_by_topic(client: GroupClient) -> None:
    """A topic named twice counts once, with everything that was said of it."""
    await client.beat("m", 0, **JOINS)
    await client.beat("n", 0, **JOINS)
    topic_id = client.world.cluster.id_of("orders")
    owned = [TopicPartitions(topic_id=topic_id, partitions=[n]) for n in (0, 1)]
    told = await client.beat("m", 1, topic_partitions=owned)
    assert (told.member_epoch, len(told.assignment.topic_partitions[0].partitions)) == (1, 1)
    kept = told.assignment.topic_partitions
    assert (await client.beat("m", 1, topic_partitions=kept)).member_epoch == 2


@pytest.mark.parametrize("version", [0, 1])
async def test_a_description_has_everything(client: GroupClient, version: int) -> None:
    await client.beat("m", 0, **JOINS, instance_id="one", rack_id="r")
    (group,) = await client.describe(version)
    assert (group.error_code, group.group_state, group.assignor_name) == (0, "Stable", "uniform")
    assert (group.group_epoch, group.assignment_epoch) == (1, 1)
    assert group.authorized_operations == 0b110101001000
    (member,) = group.members
    assert (member.member_id, member.instance_id, member.rack_id) == ("m", "one", "r")
    assert (member.client_id, member.client_host) == ("client", "/127.0.0.1")
    assert (member.member_epoch, member.subscribed_topic_names) == (1, ["orders"])
    for assignment in (member.assignment, member.target_assignment):
        assert [(t.topic_name, list(t.partitions)) for t in assignment.topic_partitions] == [("orders", [0, 1])]
    assert member.member_type == (1 if version else -1)


async def test_groups_that_are_not_there_are_described_with_an_error(client: GroupClient) -> None:
    absent, nameless = await client.describe(1, "absent", "")
    assert (absent.error_code, absent.error_message) == (ErrorCode.GROUP_ID_NOT_FOUND, "Group absent not found.")
    assert nameless.error_code == ErrorCode.INVALID_GROUP_ID


async def test_listings_and_classic_descriptions_know_the_type(client: GroupClient) -> None:
    await client.beat("m", 0, **JOINS)
    listed = await client.send(ApiKey.LIST_GROUPS, 5, ListGroupsRequest(types_filter=["Consumer"]))
    assert [(g.group_id, g.group_type, g.group_state) for g in listed.groups] == [("g", "consumer", "Stable")]
    described = await client.send(ApiKey.DESCRIBE_GROUPS, 6, DescribeGroupsRequest(groups=["g"]))
    assert described.groups[0].error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert described.groups[0].error_message == "Group g is not a classic group."


async def test_commits_and_fetches_carry_the_member_epoch(client: GroupClient) -> None:
    await client.beat("m", 0, **JOINS)
    assert await client.commit("m", 1) == ErrorCode.NONE
    assert await client.commit("m", 0) == ErrorCode.STALE_MEMBER_EPOCH
    assert await client.commit("x", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert await client.commit("m", 1, version=8) == ErrorCode.UNSUPPORTED_VERSION
    assert (await client.fetch(member_id="m", member_epoch=1)).topics[0].partitions[0].committed_offset == 7
    assert (await client.fetch(member_id="m", member_epoch=9)).error_code == ErrorCode.STALE_MEMBER_EPOCH
    assert (await client.fetch(member_id="x", member_epoch=1)).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert (await client.fetch()).error_code == 0


def deletion(group_id: str, *topics: tuple[str, int]) -> OffsetDeleteRequest:
    return OffsetDeleteRequest(
        group_id=group_id,
        topics=[
            OffsetDeleteRequestTopic(name=name, partitions=[OffsetDeleteRequestPartition(partition_index=index)])
            for name, index in topics
        ],
    )


async def test_offsets_are_deleted_one_by_one(client: GroupClient) -> None:
    await client.commit("", -1)
    wanted = deletion("g", ("orders", 0), ("orders", 1), ("orders", 2), ("absent", 0))
    answer = await client.send(ApiKey.OFFSET_DELETE, 0, wanted)
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert answer.error_code == 0
    assert [t.partitions[0].error_code for t in answer.topics] == [0, 0, unknown, unknown]
    assert list((await client.fetch()).topics) == []


@pytest.mark.parametrize(
    ("group_id", "error"), [("absent", ErrorCode.GROUP_ID_NOT_FOUND), ("", ErrorCode.INVALID_GROUP_ID)]
)
async def test_offsets_of_no_group_cannot_be_deleted(client: GroupClient, group_id: str, error: ErrorCode) -> None:
    answer = await client.send(ApiKey.OFFSET_DELETE, 0, deletion(group_id, ("orders", 0)))
    assert (answer.error_code, list(answer.topics)) == (error, [])


async def test_the_protocol_can_be_switched_off(client: GroupClient) -> None:
    client.world.cluster.change(FeatureLevelChanged(name="group.version", level=0, epoch=1))
    assert (await client.beat("m", 0, **JOINS)).error_code == ErrorCode.UNSUPPORTED_VERSION
    assert (await client.describe())[0].error_code == ErrorCode.UNSUPPORTED_VERSION


async def test_topics_that_change_reach_the_group(client: GroupClient) -> None:
    cluster = client.world.cluster
    await client.beat("m", 0, **JOINS)
    cluster.change(PartitionsAdded(name="orders", partitions=(cluster.registration(2, 1),)))
    grown = await client.beat("m", 1)
    assert (grown.member_epoch, list(grown.assignment.topic_partitions[0].partitions)) == (2, [0, 1, 2])
    cluster.change(TopicDeleted(name="orders", topic_id=cluster.id_of("orders")))
    gone = await client.beat("m", 2)
    assert list(gone.assignment.topic_partitions) == []


async def test_a_group_may_have_timeouts_of_its_own(make_world: Any) -> None:
    world = make_world(**{"group.consumer.min.heartbeat.interval.ms": "100"})
    cluster = GroupCluster(world.cluster, world.time)
    assert cluster.consumer_timeouts("g") == ConsumerTimeouts(5_000, 45_000)
    for key, value in (("consumer.heartbeat.interval.ms", "100"), ("consumer.session.timeout.ms", "50000")):
        world.cluster.change(ConfigChanged(resource_type="group", resource_name="g", key=key, value=value))
    assert cluster.consumer_timeouts("g") == ConsumerTimeouts(100, 50_000)
    assert cluster.consumer_timeouts("other") == ConsumerTimeouts(5_000, 45_000)
    for key in ("consumer.heartbeat.interval.ms", "consumer.session.timeout.ms"):
        world.cluster.change(ConfigChanged(resource_type="group", resource_name="g", key=key, value=None))
    assert cluster.consumer_timeouts("g") == ConsumerTimeouts(5_000, 45_000)
    await world.groups.close()


async def test_the_view_of_topics_is_always_the_newest(make_world: Any) -> None:
    world = make_world()
    cluster = GroupCluster(world.cluster, world.time)
    version = cluster.version
    world.cluster.create("orders", 2)
    assert cluster.version > version
    first = cluster.topic_hash("orders")
    assert (cluster.topic("orders").partition_count, cluster.topic_hash("absent")) == (2, None)
    assert cluster.topic_name(world.cluster.id_of("orders")) == "orders"
    assert list(cluster.topic_names()) == ["orders"]
    world.cluster.change(PartitionsAdded(name="orders", partitions=(world.cluster.registration(2, 1),)))
    assert cluster.topic_hash("orders") != first
    world.cluster.change(TopicDeleted(name="orders", topic_id=world.cluster.id_of("orders")))
    assert (cluster.topic("orders"), cluster.topic_hash("orders")) == (None, None)
    assert cluster.topic_name(world.cluster.id_of("orders")) is None
    await world.groups.close()
