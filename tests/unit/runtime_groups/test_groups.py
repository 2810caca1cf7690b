"""Which coordinator a group has, when shards come and go, and what code in the process may ask."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mainstem.api.node import CommittedOffset
from mainstem.core.group.commands import (
    CommitOffsets,
    DescribeGroup,
    FetchOffsets,
    Heartbeat,
    LeaveGroup,
    LeavingMember,
    ListGroups,
    OffsetToCommit,
)
from mainstem.model.cluster import PartitionChanged, TopicDeleted
from mainstem.model.errors import ErrorCode, RequestError
from mainstem.model.ids import NO_TOPIC_ID, TopicPartition
from mainstem.runtime.coordinator_topic import partition_of, settled

TOPIC = "__consumer_offsets"
ORDERS = TopicPartition("orders", 0)
FETCH = FetchOffsets(group_id="g", partitions=None)


def same(result: Any) -> Any:
    return result


def commit(group_id: str = "g", topic: str = "orders", offset: int = 1) -> CommitOffsets:
    return CommitOffsets(
        group_id=group_id,
        generation=-1,
        member_id="",
        group_instance_id=None,
        offsets=(OffsetToCommit(topic=topic, partition=0, offset=offset),),
    )


@pytest.fixture
async def world(make_world: Any) -> Any:
    world = make_world()
    yield world
    await world.groups.close()


class TestPartitionOf:
    @pytest.mark.parametrize(
        ("group_id", "partition"),
        [("golden-848", 32), ("golden-coop", 41), ("golden-eos", 49), ("golden-classic", 8)],
    )
    def test_groups_lie_where_apache_kafka_put_them(self, group_id: str, partition: int) -> None:
        assert partition_of(group_id, 50) == partition

    @pytest.mark.parametrize(
        ("group_id", "partition"),
        [
            ("", 0),
            ("a", 97 % 50),
            # hashCode -2147483648, of which Java's Math.abs is negative: Kafka takes 0.
            ("polygenelubricants", 0),
            # One character outside of the basic plane is two for Java.
            ("\N{GRINNING FACE}", (0xD83D * 31 + 0xDE00) % 50),
        ],
    )
    def test_corner_cases_of_javas_hash(self, group_id: str, partition: int) -> None:
        assert partition_of(group_id, 50) == partition


class TestCoordinator:
    async def test_the_topic_is_created_for_the_first_group(self, world: Any) -> None:
        location = await world.groups.coordinator_of("g")
        assert (location.error, location.broker_id) == (ErrorCode.NONE, 1)
        assert TOPIC in world.cluster.image.topics
        await world.groups.coordinator_of("h")
        assert world.cluster.creations == 1

    async def test_many_at_once_create_it_once(self, world: Any) -> None:
        found = await asyncio.gather(*(world.groups.coordinator_of(f"g{n}") for n in range(20)))
        assert {location.error for location in found} == {ErrorCode.NONE}
        assert world.cluster.creations == 1

    async def test_a_topic_that_cannot_be_created_is_tried_again(self, world: Any) -> None:
        world.cluster.refuse_creation = ErrorCode.INVALID_REPLICATION_FACTOR
        location = await world.groups.coordinator_of("g")
        assert location.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
        world.cluster.refuse_creation = None
        assert (await world.groups.coordinator_of("g")).error is ErrorCode.NONE

    async def test_a_request_before_find_coordinator_also_creates_the_topic(self, world: Any) -> None:
        result = world.groups.submit(commit(), same)
        assert result.offsets[0].error is ErrorCode.COORDINATOR_NOT_AVAILABLE
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert world.groups.submit(commit(), same).offsets[0].error is ErrorCode.NONE

    async def test_a_partition_without_a_leader_has_no_coordinator(self, world: Any) -> None:
        world.cluster.create(TOPIC)
        move(world.cluster, world.groups.partition_for("g"), leader=-1)
        location = await world.groups.coordinator_of("g")
        assert location.error is ErrorCode.COORDINATOR_NOT_AVAILABLE

    async def test_the_partition_count_is_that_of_the_topic_not_of_the_config(
        self, make_world: Any, make_cluster: Any
    ) -> None:
        cluster = make_cluster(partition_count=7)
        cluster.create(TOPIC)
        world = make_world(cluster)
        assert world.groups.partition_for("golden-eos") == partition_of("golden-eos", 7)
        await world.groups.close()

    async def test_member_ids_show_whose_they_are(self, world: Any) -> None:
        assert world.groups.new_member_id("client", None) == "client-uuid-1"
        assert world.groups.new_member_id("client", "instance") == "instance-uuid-2"


def move(cluster: Any, index: int, leader: int) -> None:
    cluster.change(PartitionChanged(name=TOPIC, partition=cluster.registration(index, leader)))


class TestShards:
    async def test_a_group_that_another_broker_coordinates_is_refused(self, world: Any) -> None:
        world.cluster.create(TOPIC)
        world.groups.submit(commit(), same)
        move(world.cluster, world.groups.partition_for("g"), leader=2)
        assert world.groups.submit(FETCH, same).error is ErrorCode.NOT_COORDINATOR
        assert (await world.groups.coordinator_of("g")).broker_id == 2

    async def test_a_group_that_comes_to_this_broker_is_read_back(self, world: Any) -> None:
        world.cluster.create(TOPIC)
        world.groups.submit(commit(offset=5), same)
        index = world.groups.partition_for("g")
        move(world.cluster, index, leader=2)
        move(world.cluster, index, leader=1)
        assert world.groups.submit(FETCH, same).error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        assert await world.groups.committed_offsets("g", [ORDERS]) == {ORDERS: CommittedOffset(5)}

    async def test_a_new_partition_object_means_a_new_shard(self, world: Any, make_partition: Any) -> None:
        """The topic was deleted and created again."""
        world.cluster.create(TOPIC)
        world.groups.submit(commit(), same)
        index = world.groups.partition_for("g")
        fresh = world.cluster.hosted[TOPIC, index] = make_partition()
        fresh.append_batch(_foreign_batch())
        world.cluster.publish()
        assert await world.groups.committed_offsets("g", [ORDERS]) == {}

    async def test_shards_with_records_are_read_back_at_the_start(self, make_world: Any, make_cluster: Any) -> None:
        first = make_world(make_cluster())
        first.cluster.create(TOPIC)
        first.groups.submit(commit("g", offset=5), same)
        await first.groups.close()
        second = make_world(first.cluster)
        listing = await second.groups.list_groups(ListGroups())
        assert listing.error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        assert await second.groups.committed_offsets("g", [ORDERS]) == {ORDERS: CommittedOffset(5)}
        listing = await second.groups.list_groups(ListGroups())
        assert [g.group_id for g in listing.groups] == ["g"]
        await second.groups.close()

    async def test_what_was_read_back_is_served_only_when_it_is_committed(
        self, make_world: Any, make_cluster: Any
    ) -> None:
        first = make_world(make_cluster())
        first.cluster.create(TOPIC)
        partition = first.partition_of("g")
        partition.is_held = True
        first.groups.submit(commit("g", offset=5), same)
        await first.groups.close()
        second = make_world(first.cluster)
        for _ in range(10):
            await asyncio.sleep(0)
        assert second.groups.submit(FETCH, same).error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        partition.commit()
        assert await second.groups.committed_offsets("g", [ORDERS]) == {ORDERS: CommittedOffset(5)}
        await second.groups.close()

    async def test_a_log_that_cannot_be_read_is_not_served(
        self, make_world: Any, make_cluster: Any, make_partition: Any
    ) -> None:
        from mainstem.model.records import encode

        cluster = make_cluster()
        cluster.create(TOPIC)
        for index in range(4):
            cluster.hosted[TOPIC, index].append_batch(encode([b"\0\1garbage"], [b""], [0]))
        world = make_world(cluster)
        with pytest.raises(RequestError) as raised:
            await world.groups.committed_offsets("g", [ORDERS])
        assert raised.value.code in (ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        assert "coordinator.load_failed" in world.log.at("error")
        await world.groups.close()

    async def test_offsets_of_a_deleted_topic_are_forgotten(self, world: Any) -> None:
        world.cluster.create(TOPIC)
        world.groups.submit(commit(topic="gone"), same)
        world.groups.submit(commit(topic="orders"), same)
        world.cluster.publish(TopicDeleted(name="gone", topic_id=NO_TOPIC_ID))
        found = world.groups.submit(FETCH, same)
        assert [o.topic for o in found.offsets] == ["orders"]


def _foreign_batch() -> bytes:
    from mainstem.core.group.records import OffsetRemoved
    from mainstem.model.records import encode
    from mainstem.wire.stored.consumer_offsets import encode_record

    key, value = encode_record(OffsetRemoved(group_id="other", topic="t", partition=0))
    return encode([key], [value], [0])


class TestRequests:
    @pytest.mark.parametrize(
        "command",
        [
            Heartbeat(group_id="", generation=1, member_id="m", group_instance_id=None),
            LeaveGroup(group_id="", members=(LeavingMember("m", None),)),
        ],
    )
    async def test_membership_needs_a_group_id(self, world: Any, command: Any) -> None:
        assert world.groups.submit(command, same).error is ErrorCode.INVALID_GROUP_ID

    async def test_offsets_may_be_kept_under_the_empty_id(self, world: Any) -> None:
        world.cluster.create(TOPIC)
        assert world.groups.submit(commit(""), same).offsets[0].error is ErrorCode.NONE

    async def test_all_groups_of_all_shards_are_listed(self, world: Any) -> None:
        world.cluster.create(TOPIC)
        names = {f"g{n}" for n in range(20)}
        for name in names:
            world.groups.submit(commit(name), same)
        listing = await world.groups.list_groups(ListGroups())
        assert {g.group_id for g in listing.groups} == names

    async def test_no_topic_no_groups(self, world: Any) -> None:
        listing = await world.groups.list_groups(ListGroups())
        assert (listing.error, listing.groups) == (ErrorCode.NONE, ())
        assert world.cluster.creations == 0

    async def test_several_answers_are_waited_for_together(self, world: Any) -> None:
        world.cluster.create(TOPIC)
        for partition in world.cluster.hosted.values():
            partition.is_held = True
        outcomes = [world.groups.submit(commit(f"g{n}"), same) for n in range(8)]
        for partition in world.cluster.hosted.values():
            partition.commit()
        assert [r.offsets[0].error for r in await settled(outcomes)] == [ErrorCode.NONE] * 8

    async def test_describe_answers_for_unknown_groups(self, world: Any) -> None:
        world.cluster.create(TOPIC)
        assert world.groups.submit(DescribeGroup(group_id="g"), same).group.state == "Dead"


class TestInProcess:
    async def test_offsets_are_committed_and_read_without_a_client(self, world: Any) -> None:
        other = TopicPartition("orders", 1)
        await world.groups.commit_offsets("g", {ORDERS: CommittedOffset(7), other: CommittedOffset(8, "text")})
        found = await world.groups.committed_offsets("g", [ORDERS, other, TopicPartition("none", 0)])
        assert found == {ORDERS: CommittedOffset(7), other: CommittedOffset(8, "text")}

    async def test_an_error_is_raised_by_name(self, world: Any) -> None:
        world.cluster.refuse_creation = ErrorCode.INVALID_REPLICATION_FACTOR
        with pytest.raises(RequestError) as raised:
            await world.groups.commit_offsets("g", {ORDERS: CommittedOffset(7)})
        assert raised.value.code is ErrorCode.INVALID_REPLICATION_FACTOR

    async def test_a_refused_commit_names_the_partition(self, world: Any) -> None:
        world.cluster.create(TOPIC)
        world.partition_of("g").refuse = ErrorCode.NOT_ENOUGH_REPLICAS
        with pytest.raises(RequestError, match="orders-0"):
            await world.groups.commit_offsets("g", {ORDERS: CommittedOffset(7)})

    async def test_snapshots_show_groups_members_and_offsets(self, world: Any) -> None:
        await world.groups.commit_offsets("g", {ORDERS: CommittedOffset(7)})
        (snapshot,) = world.groups.snapshots()
        assert (snapshot.group_id, snapshot.state, snapshot.protocol_type) == ("g", "Empty", "")
        assert (snapshot.generation, snapshot.member_ids) == (0, ())
        assert snapshot.offsets == {ORDERS: 7}
