"""Heartbeats, sessions that end, members that leave."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.group.classic_state import GroupState
from mainstem.core.group.commands import Heartbeat, LeaveGroup, LeavingMember
from mainstem.core.group.records import GroupStored
from mainstem.model.errors import ErrorCode


def test_heartbeats_keep_a_member_and_silence_ends_it(bench: Any) -> None:
    (leader,) = bench.stable_group()
    for _ in range(5):
        bench.advance(9_999)
        assert bench.heartbeat(leader.member_id, 1) is ErrorCode.NONE
    bench.advance(10_000)
    assert bench.heartbeat(leader.member_id, 1) is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.group.state is GroupState.EMPTY


def test_a_group_that_lost_its_last_member_is_written_empty_in_a_new_generation(bench: Any) -> None:
    bench.stable_group()
    bench.advance(10_000)
    assert bench.log[-1] == GroupStored(
        group_id="g",
        protocol_type="consumer",
        generation=2,
        protocol=None,
        leader=None,
        state_since_ms=bench.now_ms,
        members=(),
    )


def test_heartbeats_before_the_sync_count(bench: Any) -> None:
    call = bench.join()
    bench.advance(0)
    for _ in range(5):
        bench.advance(9_999)
        assert bench.heartbeat(call.result.member_id, 1) is ErrorCode.NONE


def test_heartbeats_during_a_rebalance_keep_the_member_and_call_it_back(bench: Any) -> None:
    (leader,) = bench.stable_group()
    bench.join()
    for _ in range(5):
        bench.advance(9_999)
        assert bench.heartbeat(leader.member_id, 1) is ErrorCode.REBALANCE_IN_PROGRESS


@pytest.mark.parametrize(
    ("member_id", "generation", "instance_id", "error"),
    [
        ("stranger", 1, None, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", 1, None, ErrorCode.UNKNOWN_MEMBER_ID),
        ("member-1", 0, None, ErrorCode.ILLEGAL_GENERATION),
        ("member-1", 2, None, ErrorCode.ILLEGAL_GENERATION),
        ("member-1", 1, "unknown-instance", ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_a_heartbeat_that_does_not_fit_is_refused(
    bench: Any, member_id: str, generation: int, instance_id: str | None, error: ErrorCode
) -> None:
    bench.stable_group()
    assert bench.heartbeat(member_id, generation, instance_id) is error


def test_heartbeats_of_unknown_and_empty_groups_are_refused(bench: Any) -> None:
    for group_id, error in (("none", ErrorCode.UNKNOWN_MEMBER_ID), ("", ErrorCode.INVALID_GROUP_ID)):
        command = Heartbeat(group_id=group_id, generation=1, member_id="m", group_instance_id=None)
        assert bench.send(command).result.error is error


def test_a_parked_member_cannot_send_heartbeats_and_needs_none(bench: Any) -> None:
    first, second = bench.stable_group(2)
    parked = bench.join(first.member_id)
    for _ in range(4):
        bench.heartbeat(second.member_id, 1)
        bench.advance(9_000)
    assert parked.result is None
    bench.join(second.member_id)
    assert parked.result.generation == 2


def test_a_newcomer_is_given_up_after_five_minutes_in_the_join(bench: Any) -> None:
    """Its client may have come again under another id; this one would stay for ever."""
    (first,) = bench.stable_group(1, rebalance_timeout_ms=600_000)
    newcomer = bench.join(rebalance_timeout_ms=600_000)
    for _ in range(61):
        bench.heartbeat(first.member_id, 1)
        bench.advance(5_000)
    assert newcomer.result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert list(bench.group.members) == [first.member_id]


def test_a_member_that_leaves_makes_the_others_rebalance(bench: Any) -> None:
    leader, follower = bench.stable_group(2)
    assert bench.leave((leader.member_id, None)) == [ErrorCode.NONE]
    assert bench.heartbeat(follower.member_id, 1) is ErrorCode.REBALANCE_IN_PROGRESS
    again = bench.join(follower.member_id).result
    assert (again.generation, again.leader) == (2, follower.member_id)


def test_the_last_member_that_leaves_empties_the_group_at_once(bench: Any) -> None:
    (leader,) = bench.stable_group()
    bench.leave((leader.member_id, None))
    assert (bench.group.state, bench.group.generation) == (GroupState.EMPTY, 2)


def test_members_may_leave_together_and_are_answered_one_by_one(bench: Any) -> None:
    first, second = bench.stable_group(2)
    pending = bench.join(requires_member_id=True).result
    errors = bench.leave(
        (first.member_id, None), ("stranger", None), (pending.member_id, None), ("", None), (second.member_id, "x")
    )
    assert errors == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.UNKNOWN_MEMBER_ID,
    ]
    assert list(bench.group.members) == [second.member_id]


def test_nobody_that_left_means_no_rebalance(bench: Any) -> None:
    bench.stable_group()
    assert bench.leave(("stranger", None)) == [ErrorCode.UNKNOWN_MEMBER_ID]
    assert bench.group.state is GroupState.STABLE


def test_a_leave_lets_a_rebalance_go_on_that_waited_for_the_member(bench: Any) -> None:
    first, second = bench.stable_group(2)
    again = bench.join(first.member_id)
    bench.leave((second.member_id, None))
    assert again.result.generation == 2


def test_a_member_that_leaves_while_parked_is_answered(bench: Any) -> None:
    first, second = bench.stable_group(2)
    parked = bench.join(first.member_id)
    bench.leave((first.member_id, None))
    assert parked.result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert list(bench.group.members) == [second.member_id]


def test_leaving_unknown_and_empty_groups_is_refused(bench: Any) -> None:
    members = (LeavingMember("m", None),)
    result = bench.send(LeaveGroup(group_id="none", members=members)).result
    assert (result.error, [m.error for m in result.members]) == (
        ErrorCode.NONE,
        [ErrorCode.UNKNOWN_MEMBER_ID],
    )
    assert bench.send(LeaveGroup(group_id="", members=members)).result.error is ErrorCode.INVALID_GROUP_ID
