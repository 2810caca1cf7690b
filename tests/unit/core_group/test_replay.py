"""Another coordinator reads the log back: what was stored is there, what was soft is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.records import GroupRemoved, GroupStored
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.model.records import decode
from mainstem.wire.stored.consumer_offsets import decode_record

DATA = Path(__file__).parents[2] / "data" / "kafka-4.1-consumer-offsets"


def test_a_stable_group_goes_on_where_it_was(bench: Any) -> None:
    leader, follower = bench.stable_group(2)
    after = bench.restarted()
    assert after.group.state is GroupState.STABLE
    assert after.heartbeat(leader.member_id, 1) is ErrorCode.NONE
    assert after.sync(follower).result.assignment == follower.member_id.encode()
    assert after.commit(1, generation=1, member_id=follower.member_id) is ErrorCode.NONE
    again = after.join(leader.member_id)
    after.join(follower.member_id)
    assert (again.result.generation, again.result.leader) == (2, leader.member_id)


def test_members_get_one_session_to_show_up_again(bench: Any) -> None:
    bench.stable_group(2)
    bench.advance(9_999)
    after = bench.restarted()
    after.advance(9_999)
    assert len(after.group.members) == 2
    after.advance(1)
    assert after.group.state is GroupState.EMPTY


def test_a_generation_that_was_not_assigned_is_gone(bench: Any) -> None:
    (leader,) = bench.stable_group()
    bench.join(leader.member_id)
    assert bench.group.generation == 2
    after = bench.restarted()
    assert (after.group.generation, after.group.state) == (1, GroupState.STABLE)
    assert after.heartbeat(leader.member_id, 2) is ErrorCode.ILLEGAL_GENERATION


def test_the_last_record_counts(bench: Any) -> None:
    (leader,) = bench.stable_group()
    bench.leave((leader.member_id, None))
    after = bench.restarted()
    assert (after.group.state, after.group.generation) == (GroupState.EMPTY, 2)
    removed = [*bench.log, GroupRemoved(group_id="g")]
    assert type(bench)(bench.settings, removed).shard.groups == {}


def test_an_old_record_without_a_rebalance_timeout_waits_as_long_as_the_session(make_bench: Any) -> None:
    first = make_bench()
    first.stable_group()
    (record,) = [r for r in first.log if isinstance(r, GroupStored) and r.members]
    (member,) = record.members
    old = GroupStored(
        **{f: getattr(record, f) for f in record.__struct_fields__ if f != "members"},
        members=(
            type(member)(
                **{f: getattr(member, f) for f in member.__struct_fields__ if f != "rebalance_timeout_ms"},
                rebalance_timeout_ms=-1,
            ),
        ),
    )
    after = make_bench(log=[old])
    assert after.group.rebalance_timeout_ms == 10_000


@pytest.mark.parametrize(
    ("partition", "group_id", "state", "generation", "offset"),
    [
        (8, "golden-classic", GroupState.STABLE, 1, 11),
        (41, "golden-coop", GroupState.EMPTY, 2, 11),
        (49, "golden-eos", GroupState.EMPTY, 6, 7),
    ],
)
def test_logs_of_apache_kafka_are_understood(
    partition: int, group_id: str, state: GroupState, generation: int, offset: int
) -> None:
    """Transactions are read as plain commits here: `tests/unit/runtime_groups` reads them with their
    markers.
    """
    shard = GroupShard(GroupSettings())
    columns = decode((DATA / f"{partition}.log").read_bytes())
    for at, key, value in zip(columns.offsets, columns.keys, columns.values, strict=True):
        record = decode_record(key, value)
        if record is not None:
            shard.apply(record, offset=at)
    group = shard.groups[group_id]
    assert isinstance(group, ClassicGroup)
    assert (group.state, group.generation) == (state, generation)
    offsets = shard.offsets.of_group(group_id)
    assert {p: e.stored.offset for p, e in offsets.items()} == {TopicPartition("golden", 0): offset}


def test_topics_of_a_group_that_apache_kafka_wrote_are_known() -> None:
    shard = GroupShard(GroupSettings())
    columns = decode((DATA / "8.log").read_bytes())
    for at, key, value in zip(columns.offsets, columns.keys, columns.values, strict=True):
        record = decode_record(key, value)
        assert record is not None
        shard.apply(record, offset=at)
    group = shard.groups["golden-classic"]
    assert group.subscribed_topics() == frozenset({"golden"})
    assert group.static_members == {"static-1": group.leader_id}
