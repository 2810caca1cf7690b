"""Static membership (KIP-345): an instance that restarts keeps its place, and only one of two twins lives."""

from __future__ import annotations

from typing import Any

from mainstem.core.group.classic_state import GroupState
from mainstem.model.errors import ErrorCode


def static_group(bench: Any, *instances: str, **changes: Any) -> list[Any]:
    calls = [bench.join(group_instance_id=i, requires_member_id=True, **changes) for i in instances]
    bench.advance(0)
    joined = [c.result for c in calls]
    leader = joined[0]
    assert leader.leader == leader.member_id
    for result, instance in zip(joined[1:], instances[1:], strict=True):
        bench.sync(result, group_instance_id=instance)
    assignments = {j.member_id: i.encode() for j, i in zip(joined, instances, strict=True)}
    bench.sync(leader, assignments, group_instance_id=instances[0])
    assert bench.group.state is GroupState.STABLE
    return joined


def test_a_static_member_needs_no_second_join_for_its_id(bench: Any) -> None:
    call = bench.join(group_instance_id="a", requires_member_id=True)
    bench.advance(0)
    assert call.result.error is ErrorCode.NONE


def test_a_restarted_follower_keeps_its_assignment_without_a_rebalance(bench: Any) -> None:
    leader, old = static_group(bench, "a", "b")
    written = len(bench.log)
    back = bench.join(group_instance_id="b", requires_member_id=True).result
    assert (back.error, back.generation, back.leader) == (ErrorCode.NONE, 1, leader.member_id)
    assert back.member_id != old.member_id
    assert (back.members, back.skip_assignment) == ((), False)
    assert bench.group.state is GroupState.STABLE
    assert bench.sync(back, group_instance_id="b").result.assignment == b"b"
    (record,) = bench.log[written:]
    assert [(m.member_id, m.group_instance_id, m.assignment) for m in record.members] == [
        (leader.member_id, "a", b"a"),
        (back.member_id, "b", b"b"),
    ]


def test_a_restarted_leader_from_version_9_sees_the_members_and_skips_the_assignment(bench: Any) -> None:
    static_group(bench, "a", "b")
    back = bench.join(group_instance_id="a", skips_assignment=True).result
    assert (back.leader, back.skip_assignment) == (back.member_id, True)
    assert len(back.members) == 2
    assert bench.sync(back, group_instance_id="a").result.assignment == b"a"


def test_a_restarted_leader_before_version_9_is_told_the_old_leader(bench: Any) -> None:
    """It must not think itself the leader, or it would assign in the middle of the generation."""
    old, _ = static_group(bench, "a", "b")
    back = bench.join(group_instance_id="a", skips_assignment=False).result
    assert (back.leader, back.skip_assignment, back.members) == (old.member_id, False, ())
    assert bench.group.leader_id == back.member_id


def test_the_old_id_of_a_restarted_instance_is_fenced_everywhere(bench: Any) -> None:
    _, old = static_group(bench, "a", "b")
    bench.join(group_instance_id="b")
    fenced = ErrorCode.FENCED_INSTANCE_ID
    assert bench.heartbeat(old.member_id, 1, "b") is fenced
    assert bench.sync(old, group_instance_id="b").result.error is fenced
    assert bench.join(old.member_id, group_instance_id="b").result.error is fenced
    assert bench.leave((old.member_id, "b")) == [fenced]
    commit = bench.commit(1, generation=1, member_id=old.member_id, group_instance_id="b")
    assert commit is fenced
    assert bench.committed() == {}


def test_an_old_id_without_its_instance_id_is_unknown(bench: Any) -> None:
    _, old = static_group(bench, "a", "b")
    bench.join(group_instance_id="b")
    assert bench.heartbeat(old.member_id, 1) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_twin_fences_the_one_that_is_parked_in_join(bench: Any) -> None:
    _, follower = static_group(bench, "a", "b")
    bench.join()
    parked = bench.join(follower.member_id, group_instance_id="b")
    twin = bench.join(group_instance_id="b")
    assert parked.result.error is ErrorCode.FENCED_INSTANCE_ID
    assert twin.result is None


def test_a_twin_fences_the_one_that_is_parked_in_sync_and_begins_the_rebalance_again(bench: Any) -> None:
    calls = [bench.join(group_instance_id=i) for i in ("a", "b")]
    bench.advance(0)
    parked = bench.sync(calls[1].result, group_instance_id="b")
    twin = bench.join(group_instance_id="b")
    assert parked.result.error is ErrorCode.FENCED_INSTANCE_ID
    assert twin.result is None
    assert bench.group.state is GroupState.PREPARING_REBALANCE


def test_a_restart_that_changes_the_chosen_protocol_makes_the_group_rebalance(bench: Any) -> None:
    static_group(bench, "a", "b", protocols={"range": b"", "sticky": b""})
    back = bench.join(group_instance_id="b", protocols={"sticky": b""})
    assert back.result is None
    assert bench.group.state is GroupState.PREPARING_REBALANCE


def test_a_static_member_stays_while_it_restarts_and_goes_when_its_session_ends(bench: Any) -> None:
    leader, _ = static_group(bench, "a", "b")
    for _ in range(2):
        bench.advance(4_000)
        bench.heartbeat(leader.member_id, 1, "a")
    assert len(bench.group.members) == 2
    bench.advance(2_000)
    assert bench.heartbeat(leader.member_id, 1, "a") is ErrorCode.REBALANCE_IN_PROGRESS
    assert len(bench.group.members) == 1


def test_a_rebalance_goes_on_without_an_absent_static_member_that_stays_a_member(bench: Any) -> None:
    static_group(bench, "a", "b", session_timeout_ms=1_000_000)
    newcomer = bench.join(session_timeout_ms=1_000_000)
    bench.advance(60_000)
    assert newcomer.result.generation == 2
    assert newcomer.result.leader == newcomer.result.member_id, "the absent leader cannot assign"
    assert len(newcomer.result.members) == 3


def test_a_rebalance_that_only_absent_static_members_could_end_waits_for_their_sessions(bench: Any) -> None:
    static_group(bench, "a", "b", session_timeout_ms=200_000)
    bench.join()
    assert bench.leave(("member-3", None)) == [ErrorCode.NONE]
    assert bench.group.state is GroupState.PREPARING_REBALANCE
    bench.advance(199_000)
    assert bench.group.state is GroupState.PREPARING_REBALANCE
    bench.advance(1_000)
    assert bench.group.state is GroupState.EMPTY


def test_an_administrator_takes_static_members_out_by_instance_id(bench: Any) -> None:
    static_group(bench, "a", "b")
    assert bench.leave(("", "b"), ("", "unknown")) == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID]
    assert list(bench.group.static_members) == ["a"]


def test_a_replacement_that_could_not_be_stored_leaves_the_old_member(bench: Any) -> None:
    _, old = static_group(bench, "a", "b")
    bench.refuse_appends = ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert bench.join(group_instance_id="b").result is ErrorCode.COORDINATOR_NOT_AVAILABLE
    bench.refuse_appends = None
    assert bench.heartbeat(old.member_id, 1, "b") is ErrorCode.NONE
    assert bench.sync(old, group_instance_id="b").result.assignment == b"b"


def test_static_members_survive_a_restart_of_the_coordinator(bench: Any) -> None:
    static_group(bench, "a", "b")
    after = bench.restarted()
    back = after.join(group_instance_id="b").result
    assert (back.error, back.generation) == (ErrorCode.NONE, 1)
    assert after.sync(back, group_instance_id="b").result.assignment == b"b"
