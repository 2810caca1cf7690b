"""SyncGroup: the leader's assignment reaches everybody of its generation, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.group.classic_state import GroupState
from mainstem.core.group.commands import LeaveGroup, LeavingMember
from mainstem.core.group.records import GroupStored
from mainstem.model.errors import ErrorCode


def joined(bench: Any, size: int) -> list[Any]:
    calls = [bench.join() for _ in range(size)]
    bench.advance(0)
    return [c.result for c in calls]


def test_followers_wait_for_the_leader_and_everybody_gets_its_part(bench: Any) -> None:
    leader, follower = joined(bench, 2)
    waiting = bench.sync(follower)
    assert waiting.result is None
    own = bench.sync(leader, {leader.member_id: b"one", follower.member_id: b"two"})
    assert (own.result.assignment, waiting.result.assignment) == (b"one", b"two")
    assert (own.result.protocol_type, own.result.protocol_name) == ("consumer", "range")
    assert bench.group.state is GroupState.STABLE


def test_the_generation_is_written_as_kafka_writes_it(bench: Any) -> None:
    leader, follower = joined(bench, 2)
    since_ms = bench.now_ms
    bench.advance(5)
    bench.sync(leader, {follower.member_id: b"two", "stranger": b"three"})
    record = bench.log[-1]
    assert isinstance(record, GroupStored)
    assert (record.generation, record.protocol_type, record.protocol) == (1, "consumer", "range")
    assert (record.leader, record.state_since_ms) == (leader.member_id, since_ms)
    assert [(m.member_id, m.assignment) for m in record.members] == [
        (leader.member_id, b""),
        (follower.member_id, b"two"),
    ]
    member = record.members[0]
    assert (member.client_id, member.client_host) == ("client", "/127.0.0.1")
    assert (member.session_timeout_ms, member.rebalance_timeout_ms) == (10_000, 60_000)


def test_a_sync_after_the_leaders_gets_the_assignment_at_once(bench: Any) -> None:
    leader, follower = joined(bench, 2)
    bench.sync(leader, {follower.member_id: b"two"})
    assert bench.sync(follower).result.assignment == b"two"
    assert bench.sync(follower).result.assignment == b"two", "it may ask again"


def test_an_assignment_from_a_follower_is_ignored(bench: Any) -> None:
    leader, follower = joined(bench, 2)
    bench.sync(follower, {follower.member_id: b"all"})
    assert bench.group.state is GroupState.COMPLETING_REBALANCE
    bench.sync(leader, {leader.member_id: b"all"})
    assert bench.sync(follower).result.assignment == b""


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"generation": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation": 0}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation": -1}, ErrorCode.ILLEGAL_GENERATION),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": ""}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"group_id": "unknown"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"group_id": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"group_instance_id": "static"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_name": "sticky"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
    ],
)
def test_a_sync_that_does_not_fit_is_refused(bench: Any, changes: dict[str, Any], error: ErrorCode) -> None:
    (leader,) = joined(bench, 1)
    refused = bench.sync(leader, {leader.member_id: b"x"}, **changes).result
    assert (refused.error, refused.assignment) == (error, b"")
    assert bench.group.state is GroupState.COMPLETING_REBALANCE


def test_the_right_protocol_may_be_said(bench: Any) -> None:
    (leader,) = joined(bench, 1)
    assert bench.sync(leader, protocol_type="consumer", protocol_name="range").result.error is ErrorCode.NONE


def test_a_sync_during_a_new_rebalance_is_sent_back_to_join(bench: Any) -> None:
    (leader,) = bench.stable_group()
    bench.join()
    assert bench.sync(leader).result.error is ErrorCode.REBALANCE_IN_PROGRESS


def test_members_parked_in_sync_are_sent_back_when_somebody_joins(bench: Any) -> None:
    _, follower = joined(bench, 2)
    waiting = bench.sync(follower)
    bench.join()
    assert waiting.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    assert waiting.result.assignment == b""


def test_a_sync_into_an_empty_group_is_unknown(bench: Any) -> None:
    (leader,) = bench.stable_group()
    bench.leave((leader.member_id, None))
    assert bench.sync(leader).result.error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_second_sync_of_a_parked_member_takes_the_place_of_the_first(bench: Any) -> None:
    leader, follower = joined(bench, 2)
    first, second = bench.sync(follower), bench.sync(follower)
    assert first.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    bench.sync(leader, {follower.member_id: b"x"})
    assert second.result.assignment == b"x"


def test_members_that_never_sync_are_out_after_the_rebalance_timeout(bench: Any) -> None:
    leader, silent = joined(bench, 2)
    bench.sync(leader)
    for _ in range(12):
        assert bench.heartbeat(leader.member_id, 1) is ErrorCode.NONE
        bench.heartbeat(silent.member_id, 1)
        bench.advance(5_000)
    assert bench.heartbeat(leader.member_id, 1) is ErrorCode.REBALANCE_IN_PROGRESS
    assert list(bench.group.members) == [leader.member_id]


def test_a_leader_that_never_syncs_is_out_and_the_followers_go_on(bench: Any) -> None:
    leader, follower = joined(bench, 2)
    waiting = bench.sync(follower)
    for _ in range(12):
        bench.heartbeat(leader.member_id, 1)
        bench.advance(5_000)
    assert waiting.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    again = bench.join(follower.member_id)
    assert (again.result.generation, again.result.leader) == (2, follower.member_id)


class TestAppendFailures:
    def test_everybody_who_waits_gets_the_error_and_the_group_gathers_again(self, bench: Any) -> None:
        (first,) = bench.stable_group()
        newcomer, again = bench.join(), bench.join(first.member_id)
        waiting = bench.sync(newcomer.result)
        bench.refuse_appends = ErrorCode.COORDINATOR_NOT_AVAILABLE
        call = bench.sync(again.result, {first.member_id: b"x"})
        assert call.result is waiting.result is ErrorCode.COORDINATOR_NOT_AVAILABLE
        bench.refuse_appends = None
        assert bench.group.state is GroupState.PREPARING_REBALANCE
        assert bench.heartbeat(first.member_id, 2) is ErrorCode.REBALANCE_IN_PROGRESS
        bench.stabilize(bench.join(first.member_id), bench.join(newcomer.result.member_id))
        assert bench.group.generation == 3

    def test_the_generation_before_stays_fenced(self, bench: Any) -> None:
        """It was told to members; one that missed it must not commit what the others may have taken over."""
        (first,) = bench.stable_group()
        again = bench.join(first.member_id)
        bench.refuse_appends = ErrorCode.COORDINATOR_NOT_AVAILABLE
        bench.sync(again.result)
        bench.refuse_appends = None
        assert bench.commit(1, generation=1, member_id=first.member_id) is ErrorCode.ILLEGAL_GENERATION

    def test_members_that_do_not_come_back_after_it_are_out(self, bench: Any) -> None:
        (first,) = bench.stable_group()
        newcomer, again = bench.join(), bench.join(first.member_id)
        bench.sync(newcomer.result)
        bench.advance(10_000)
        bench.refuse_appends = ErrorCode.COORDINATOR_NOT_AVAILABLE
        bench.sync(again.result)
        bench.refuse_appends = None
        bench.advance(10_000)
        assert bench.group.state is GroupState.EMPTY

    def test_a_group_that_could_not_be_created_is_unknown(self, bench: Any) -> None:
        bench.refuse_appends = ErrorCode.COORDINATOR_NOT_AVAILABLE
        call = bench.join()
        assert call.result.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
        pending = bench.join(requires_member_id=True)
        assert pending.result is ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert bench.shard.groups == {}
        bench.refuse_appends = None
        bench.stable_group()

    def test_a_group_that_only_held_offsets_holds_them_still(self, bench: Any) -> None:
        bench.commit(7)
        call = bench.join()
        bench.advance(0)
        bench.refuse_appends = ErrorCode.UNKNOWN_SERVER_ERROR
        assert bench.sync(call.result).result is ErrorCode.UNKNOWN_SERVER_ERROR
        bench.refuse_appends = None
        assert list(bench.committed().values()) == [7]
        bench.stabilize(bench.join(call.result.member_id))

    def test_an_end_that_could_not_be_stored_is_an_end_all_the_same(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        bench.refuse_appends = ErrorCode.COORDINATOR_NOT_AVAILABLE
        left = bench.send(LeaveGroup(group_id="g", members=(LeavingMember(leader.member_id, None),)))
        assert left.result is ErrorCode.COORDINATOR_NOT_AVAILABLE
        bench.refuse_appends = None
        assert (bench.group.state, bench.group.generation) == (GroupState.EMPTY, 2)
        (again,) = bench.stable_group()
        assert again.generation == 3
