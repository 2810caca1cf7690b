"""Offsets and administration of consumer groups: who may commit, read and delete, and what tools are told."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.group.commands import (
    DeleteOffsets,
    DescribeConsumerGroup,
    DescribeGroup,
    FetchOffsets,
    ListGroups,
    RemoveGroup,
)
from mainstem.core.group.consumer_records import ConsumerGroupRemoved, TargetEpochRemoved
from mainstem.core.group.results import GroupListing
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

WEEK_MS = 7 * 24 * 3_600_000


@pytest.mark.parametrize(
    ("member_id", "epoch", "error"),
    [
        ("m", 1, ErrorCode.NONE),
        ("m", 0, ErrorCode.STALE_MEMBER_EPOCH),
        ("m", 2, ErrorCode.STALE_MEMBER_EPOCH),
        ("m", -1, ErrorCode.STALE_MEMBER_EPOCH),
        ("n", 1, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", -1, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_only_members_of_the_epoch_commit_and_read(bench: Any, member_id: str, epoch: int, error: ErrorCode) -> None:
    bench.enter("m")
    assert bench.commit(7, member_id=member_id, generation=epoch) is error
    fetched = bench.send(FetchOffsets(group_id="g", partitions=None, member_id=member_id, member_epoch=epoch)).result
    assert fetched.error is error
    assert bench.committed() == ({TopicPartition("orders", 0): 7} if error is ErrorCode.NONE else {})


def test_whoever_says_nothing_of_himself_may_read(bench: Any) -> None:
    bench.enter("m")
    assert bench.send(FetchOffsets(group_id="g", partitions=None)).result.error is ErrorCode.NONE


def test_a_fenced_member_commits_nothing(bench: Any) -> None:
    bench.enter("m")
    bench.advance(45_000)
    bench.enter("n")
    assert bench.commit(7, member_id="m", generation=1) is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.committed() == {}


def test_commits_of_the_consumer_protocol_need_version_9(bench: Any) -> None:
    bench.enter("m")
    assert bench.commit(7, member_id="m", generation=1, knows_member_epochs=False) is ErrorCode.UNSUPPORTED_VERSION


def test_anybody_may_commit_for_an_empty_group(bench: Any) -> None:
    bench.enter("m")
    bench.beat("m", -1)
    assert bench.commit(7) is ErrorCode.NONE
    assert bench.commit(8, member_id="m", generation=1) is ErrorCode.UNKNOWN_MEMBER_ID


def test_offsets_that_somebody_is_subscribed_to_are_not_deleted(bench: Any) -> None:
    bench.commit(7)
    bench.commit(8, topic="bills")
    bench.enter("m")
    wanted = (TopicPartition("orders", 0), TopicPartition("bills", 0), TopicPartition("bills", 1))
    result = bench.send(DeleteOffsets(group_id="g", partitions=wanted)).result
    assert [o.error for o in result.offsets] == [
        ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
        ErrorCode.NONE,
        ErrorCode.NONE,
    ]
    assert bench.committed() == {TopicPartition("orders", 0): 7}


def test_offsets_of_an_empty_or_simple_group_are_deleted(bench: Any) -> None:
    bench.commit(7)
    wanted = (TopicPartition("orders", 0),)
    result = bench.send(DeleteOffsets(group_id="g", partitions=wanted)).result
    assert [o.error for o in result.offsets] == [ErrorCode.NONE]
    assert bench.committed() == {}


def test_offsets_of_a_group_with_members_of_another_kind_are_not_deleted(bench: Any) -> None:
    bench.stable_group(protocol_type="connect", protocols={"compatible": b"x"})
    result = bench.send(DeleteOffsets(group_id="g", partitions=(TopicPartition("orders", 0),))).result
    assert (result.error, result.offsets) == (ErrorCode.NON_EMPTY_GROUP, ())


def test_offsets_of_a_classic_group_are_deleted_where_nobody_is_subscribed(bench: Any) -> None:
    bench.commit(7)
    bench.commit(8, topic="bills")
    bench.stable_group()
    wanted = (TopicPartition("orders", 0), TopicPartition("bills", 0))
    result = bench.send(DeleteOffsets(group_id="g", partitions=wanted)).result
    assert [o.error for o in result.offsets] == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.NONE]


def test_offsets_of_no_group_are_not_deleted(bench: Any) -> None:
    result = bench.send(DeleteOffsets(group_id="g", partitions=(TopicPartition("orders", 0),))).result
    assert result.error is ErrorCode.GROUP_ID_NOT_FOUND


def test_old_offsets_expire_where_nobody_is_subscribed(bench: Any) -> None:
    bench.commit(7)
    bench.commit(8, topic="bills")
    bench.cluster.session_timeout_ms = 10 * WEEK_MS
    bench.enter("m")
    bench.advance(WEEK_MS + 600_000)
    assert bench.committed() == {TopicPartition("orders", 0): 7}


def test_an_empty_group_goes_with_its_last_offset(bench: Any) -> None:
    bench.enter("m")
    bench.commit(7, member_id="m", generation=1)
    bench.beat("m", -1)
    bench.advance(WEEK_MS + 600_000)
    assert bench.shard.groups == {}
    assert bench.log[-1] == ConsumerGroupRemoved(group_id="g")
    assert bench.restarted().shard.groups == {}


def test_a_group_with_members_is_not_removed(bench: Any) -> None:
    bench.enter("m")
    assert bench.send(RemoveGroup(group_id="g")).result.error is ErrorCode.NON_EMPTY_GROUP
    bench.commit(7, member_id="m", generation=1)
    bench.beat("m", -1)
    assert bench.send(RemoveGroup(group_id="g")).result.error is ErrorCode.NONE
    assert (bench.shard.groups, bench.committed()) == ({}, {})
    assert TargetEpochRemoved(group_id="g") in bench.log


def test_groups_are_listed_with_their_type_and_state(bench: Any) -> None:
    bench.enter("m")
    bench.commit(1, group_id="simple")
    consumer = GroupListing(group_id="g", protocol_type="consumer", state="Stable", type="consumer")
    simple = GroupListing(group_id="simple", protocol_type="", state="Empty", type="classic")

    def listed(**filters: Any) -> set[GroupListing]:
        return set(bench.send(ListGroups(**{k: frozenset(v) for k, v in filters.items()})).result.groups)

    assert listed() == {consumer, simple}
    assert listed(types={"consumer"}) == {consumer}
    assert listed(types={"classic"}) == {simple}
    assert listed(states={"stable"}) == {consumer}
    assert listed(states={"assigning", "reconciling"}) == set()


@pytest.mark.parametrize(("knows", "error"), [(True, ErrorCode.GROUP_ID_NOT_FOUND), (False, ErrorCode.NONE)])
def test_the_classic_description_knows_no_consumer_groups(bench: Any, knows: bool, error: ErrorCode) -> None:
    bench.enter("m")
    group = bench.send(DescribeGroup(group_id="g", knows_group_id_not_found=knows)).result.group
    assert (group.error, group.state, group.members) == (error, "Dead", ())
    assert group.error_message == ("Group g is not a classic group." if knows else None)


def test_a_description_shows_epochs_members_and_what_they_have(bench: Any) -> None:
    bench.enter("m", instance_id="one", rack_id="r", server_assignor="range")
    bench.enter("n")
    bench.beat("m", 1, instance_id="one")
    group = bench.send(DescribeConsumerGroup(group_id="g")).result.group
    assert (group.state, group.epoch, group.target_epoch, group.assignor) == ("Reconciling", 2, 2, "range")
    first, second = group.members
    assert (first.member_id, first.instance_id, first.rack_id, first.member_epoch) == ("m", "one", "r", 1)
    assert (first.topics, first.regex, first.speaks_classic) == (("orders",), "", False)
    assert [(t.topic, t.partitions) for t in first.assignment] == [("orders", (0, 1))]
    assert [(t.topic, t.partitions) for t in first.target] == [("orders", (0, 1))]
    assert (second.member_epoch, second.assignment) == (2, ())
    assert [(t.topic, t.partitions) for t in second.target] == [("orders", (2, 3))]


@pytest.mark.parametrize(
    ("is_there", "message"), [(False, "Group g not found."), (True, "Group g is not a consumer group.")]
)
def test_what_is_no_consumer_group_is_not_described(bench: Any, is_there: bool, message: str) -> None:
    if is_there:
        bench.commit(1)
    group = bench.send(DescribeConsumerGroup(group_id="g")).result.group
    assert (group.error, group.error_message) == (ErrorCode.GROUP_ID_NOT_FOUND, message)
