"""JoinGroup: who may enter, under which id, and whether that begins a rebalance."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.group.classic_state import GroupState
from mainstem.core.group.records import GroupStored
from mainstem.core.group.settings import GroupSettings
from mainstem.model.errors import ErrorCode


def test_the_first_member_leads_generation_1_and_sees_its_own_metadata(bench: Any) -> None:
    call = bench.join(protocols={"range": b"meta"})
    assert call.result is None, "parked until the initial delay is over"
    bench.advance(0)
    result = call.result
    assert (result.error, result.generation, result.leader) == (ErrorCode.NONE, 1, result.member_id)
    assert (result.protocol_type, result.protocol_name) == ("consumer", "range")
    assert [(m.member_id, m.metadata) for m in result.members] == [(result.member_id, b"meta")]
    assert bench.group.state is GroupState.COMPLETING_REBALANCE


def test_a_new_group_is_written_empty_at_once(bench: Any) -> None:
    bench.join()
    (record,) = bench.log
    assert record == GroupStored(
        group_id="g",
        protocol_type="",
        generation=0,
        protocol=None,
        leader=None,
        state_since_ms=bench.now_ms,
        members=(),
    )


def test_from_version_4_a_member_must_come_back_with_the_id_it_is_given(bench: Any) -> None:
    first = bench.join(requires_member_id=True).result
    assert (first.error, first.member_id) == (ErrorCode.MEMBER_ID_REQUIRED, "member-1")
    assert bench.group.members == {}
    second = bench.join("member-1", requires_member_id=True)
    bench.advance(0)
    assert (second.result.error, second.result.member_id) == (ErrorCode.NONE, "member-1")


def test_an_id_that_does_not_come_back_is_forgotten_after_its_session(bench: Any) -> None:
    bench.join(requires_member_id=True)
    bench.advance(9_999)
    assert bench.group.pending_joins == {"member-1"}
    bench.advance(1)
    assert bench.group.pending_joins == set()
    assert bench.join("member-1").result.error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_rebalance_waits_for_pending_ids_and_goes_on_when_they_expire(bench: Any) -> None:
    (leader,) = bench.stable_group()
    bench.join(requires_member_id=True)
    again = bench.join(leader.member_id)
    assert again.result is None, "the pending member might come"
    bench.advance(10_000)
    assert again.result.generation == 2


def test_a_pending_id_with_an_instance_id_is_unknown(bench: Any) -> None:
    bench.join(requires_member_id=True)
    refused = bench.join("member-1", group_instance_id="static").result
    assert refused.error is ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("timeout_ms", [-1, 0, 5_999, 1_800_001])
def test_session_timeouts_out_of_bounds_are_refused(bench: Any, timeout_ms: int) -> None:
    refused = bench.join("m", session_timeout_ms=timeout_ms).result
    assert (refused.error, refused.member_id) == (ErrorCode.INVALID_SESSION_TIMEOUT, "m")
    assert bench.shard.groups == {}


@pytest.mark.parametrize("timeout_ms", [6_000, 1_800_000])
def test_session_timeouts_at_the_bounds_are_taken(bench: Any, timeout_ms: int) -> None:
    call = bench.join(session_timeout_ms=timeout_ms)
    bench.advance(0)
    assert call.result.error is ErrorCode.NONE


def test_the_empty_group_id_is_refused(bench: Any) -> None:
    assert bench.join(group_id="").result.error is ErrorCode.INVALID_GROUP_ID


def test_a_known_id_in_an_unknown_group_is_refused(bench: Any) -> None:
    refused = bench.join("stranger").result
    assert (refused.error, refused.member_id) == (ErrorCode.UNKNOWN_MEMBER_ID, "stranger")
    assert bench.log == []


def test_an_unknown_id_in_a_known_group_is_refused(bench: Any) -> None:
    bench.stable_group()
    assert bench.join("stranger").result.error is ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("changes", [{"protocol_type": ""}, {"protocols": {}}, {"protocol_type": "", "protocols": {}}])
def test_a_group_cannot_begin_without_protocols(bench: Any, changes: dict[str, Any]) -> None:
    assert bench.join(**changes).result.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert bench.group.state is GroupState.EMPTY, "Kafka remembers the name, too"
    bench.stable_group()


@pytest.mark.parametrize("changes", [{"protocol_type": "connect"}, {"protocols": {"sticky": b""}}, {"protocols": {}}])
def test_a_newcomer_must_share_type_and_one_protocol_with_all(bench: Any, changes: dict[str, Any]) -> None:
    bench.stable_group()
    assert bench.join(**changes).result.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert bench.group.state is GroupState.STABLE


def test_most_votes_among_common_protocols_choose(bench: Any) -> None:
    calls = [
        bench.join(protocols={"sticky": b"", "range": b"", "own": b""}),
        bench.join(protocols={"range": b"", "sticky": b""}),
        bench.join(protocols={"range": b"", "sticky": b""}),
    ]
    bench.advance(0)
    assert {c.result.protocol_name for c in calls} == {"range"}


def test_a_protocol_that_one_member_lacks_cannot_win(bench: Any) -> None:
    calls = [
        bench.join(protocols={"sticky": b"", "range": b""}),
        bench.join(protocols={"sticky": b"", "range": b""}),
        bench.join(protocols={"range": b""}),
    ]
    bench.advance(0)
    assert {c.result.protocol_name for c in calls} == {"range"}


def test_a_new_member_makes_a_stable_group_rebalance(bench: Any) -> None:
    (leader,) = bench.stable_group()
    newcomer = bench.join()
    assert newcomer.result is None
    assert bench.group.state is GroupState.PREPARING_REBALANCE
    assert bench.heartbeat(leader.member_id, 1) is ErrorCode.REBALANCE_IN_PROGRESS
    again = bench.join(leader.member_id)
    assert {again.result.generation, newcomer.result.generation} == {2}
    assert again.result.leader == newcomer.result.leader == leader.member_id
    assert len(again.result.members) == 2
    assert newcomer.result.members == ()


def test_members_that_do_not_rejoin_in_time_are_out(bench: Any) -> None:
    first, second = bench.stable_group(2)
    newcomer = bench.join()
    again = bench.join(second.member_id)
    for _ in range(6):
        bench.heartbeat(first.member_id, 1)
        bench.advance(9_999)
    bench.advance(6)
    assert newcomer.result.generation == again.result.generation == 2
    assert first.member_id not in bench.group.members
    assert again.result.leader == second.member_id, "the leader did not come, so leadership moved"
    assert bench.join(first.member_id).result.error is ErrorCode.UNKNOWN_MEMBER_ID


def test_an_unchanged_follower_that_rejoins_gets_its_generation_without_a_rebalance(bench: Any) -> None:
    _, follower = bench.stable_group(2)
    again = bench.join(follower.member_id).result
    assert (again.error, again.generation, again.members) == (ErrorCode.NONE, 1, ())
    assert bench.group.state is GroupState.STABLE


def test_a_follower_with_new_metadata_makes_the_group_rebalance(bench: Any) -> None:
    _, follower = bench.stable_group(2)
    assert bench.join(follower.member_id, protocols={"range": b"other"}).result is None
    assert bench.group.state is GroupState.PREPARING_REBALANCE


def test_a_leader_that_rejoins_makes_the_group_rebalance(bench: Any) -> None:
    (leader,) = bench.stable_group()
    again = bench.join(leader.member_id)
    assert again.result.generation == 2


def test_a_join_repeated_before_the_sync_gets_the_same_generation_again(bench: Any) -> None:
    """The answer may have been lost."""
    call, _ = bench.join(), bench.join()
    bench.advance(0)
    first = call.result
    again = bench.join(first.member_id).result
    assert again == first
    assert bench.group.state is GroupState.COMPLETING_REBALANCE


def test_a_join_with_new_metadata_before_the_sync_begins_the_rebalance_again(bench: Any) -> None:
    call = bench.join()
    bench.advance(0)
    again = bench.join(call.result.member_id, protocols={"range": b"other"})
    assert again.result.generation == 2


def test_a_second_join_of_a_parked_member_takes_the_place_of_the_first(bench: Any) -> None:
    first, _ = bench.stable_group(2)
    parked = bench.join(first.member_id)
    assert parked.result is None
    again = bench.join(first.member_id)
    assert parked.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    assert again.result is None
    assert bench.group.joins_parked == 1


def test_a_member_of_an_empty_group_is_unknown(bench: Any) -> None:
    (leader,) = bench.stable_group()
    bench.leave((leader.member_id, None))
    assert bench.group.state is GroupState.EMPTY
    assert bench.join(leader.member_id).result.error is ErrorCode.UNKNOWN_MEMBER_ID


class TestGroupMaxSize:
    @pytest.fixture
    def small(self, make_bench: Any) -> Any:
        return make_bench(GroupSettings(group_max_size=2, group_initial_rebalance_delay_ms=0))

    def test_a_member_in_excess_of_a_stable_group_is_refused(self, small: Any) -> None:
        small.stable_group(2)
        refused = small.join().result
        assert (refused.error, refused.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")
        assert small.group.state is GroupState.STABLE

    def test_members_of_a_full_group_may_rejoin(self, small: Any) -> None:
        leader, _ = small.stable_group(2)
        assert small.join(leader.member_id).result is None

    def test_the_last_to_rejoin_a_group_in_excess_is_out_and_the_others_go_on(self, make_bench: Any) -> None:
        big = make_bench()
        members = big.stable_group(3)
        small = make_bench(GroupSettings(group_max_size=2, group_initial_rebalance_delay_ms=0), big.log)
        assert small.group.state is GroupState.PREPARING_REBALANCE, "loaded with more members than allowed"
        calls = [small.join(m.member_id) for m in members]
        assert calls[2].result.error is ErrorCode.GROUP_MAX_SIZE_REACHED
        assert [c.result.generation for c in calls[:2]] == [2, 2]

    def test_a_pending_id_is_refused_once_the_group_is_full(self, small: Any) -> None:
        pending = small.join(requires_member_id=True).result
        calls = [small.join(), small.join()]
        refused = small.join(pending.member_id).result
        assert refused.error is ErrorCode.GROUP_MAX_SIZE_REACHED
        small.stabilize(*calls)


class TestInitialDelay:
    @pytest.fixture
    def slow(self, make_bench: Any) -> Any:
        return make_bench(GroupSettings(group_initial_rebalance_delay_ms=3_000))

    def test_the_first_generation_waits_for_more_members(self, slow: Any) -> None:
        call = slow.join()
        slow.advance(2_999)
        assert call.result is None
        slow.advance(1)
        assert call.result.generation == 1

    def test_each_newcomer_prolongs_the_wait_up_to_the_rebalance_timeout(self, slow: Any) -> None:
        calls = [slow.join(rebalance_timeout_ms=7_000)]
        for _ in range(3):
            slow.advance(2_000)
            calls.append(slow.join(rebalance_timeout_ms=7_000))
        assert all(c.result is None for c in calls)
        slow.advance(1_001)
        assert {c.result.generation for c in calls} == {1}

    def test_without_newcomers_the_wait_is_not_prolonged(self, slow: Any) -> None:
        calls = [slow.join(), slow.join()]
        slow.advance(3_000)
        assert all(c.result is None for c in calls), "the second came during the delay"
        slow.advance(3_000)
        assert {c.result.generation for c in calls} == {1}

    def test_members_that_leave_during_the_delay_leave_an_empty_group(self, slow: Any) -> None:
        slow.join(requires_member_id=True)
        call = slow.join("member-1")
        assert slow.leave(("member-1", None)) == [ErrorCode.NONE]
        assert call.result.error is ErrorCode.UNKNOWN_MEMBER_ID
        slow.advance(3_000)
        assert slow.group.state is GroupState.EMPTY
        assert slow.group.generation == 1
