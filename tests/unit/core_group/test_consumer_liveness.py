"""Members of consumer groups that leave, fall silent, keep what they should give up, or come back."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.group.consumer_state import ConsumerGroupState
from mainstem.model.errors import ErrorCode


def test_who_leaves_frees_its_partitions(bench: Any) -> None:
    bench.enter("m")
    bench.enter("n")
    left = bench.beat("m", -1)
    assert (left.error, left.member_id, left.member_epoch) == (ErrorCode.NONE, "m", -1)
    answer = bench.beat("n", 2)
    assert (answer.member_epoch, bench.parts(answer)) == (3, {0, 1, 2, 3})


def test_a_silent_member_is_fenced_when_its_session_ends(bench: Any) -> None:
    bench.enter("m")
    bench.advance(44_999)
    assert bench.beat("m", 1).error is ErrorCode.NONE
    bench.advance(44_999)
    assert bench.beat("m", 1).error is ErrorCode.NONE
    bench.advance(45_000)
    assert bench.beat("m", 1).error is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.consumers.epoch == 2


def test_refused_heartbeats_do_not_keep_a_session_alive(bench: Any) -> None:
    bench.enter("m")
    bench.advance(40_000)
    assert bench.beat("m", 7).error is ErrorCode.FENCED_MEMBER_EPOCH
    bench.advance(5_000)
    assert bench.consumers.is_empty


def test_the_group_may_have_a_session_timeout_of_its_own(bench: Any) -> None:
    bench.cluster.session_timeout_ms, bench.cluster.heartbeat_interval_ms = 50_000, 7_000
    assert bench.enter("m").heartbeat_interval_ms == 7_000
    bench.advance(49_999)
    assert not bench.consumers.is_empty
    bench.advance(1)
    assert bench.consumers.is_empty


def test_who_keeps_what_it_should_give_up_is_fenced_by_its_rebalance_timeout(bench: Any) -> None:
    bench.enter("m", rebalance_timeout_ms=30_000)
    bench.enter("n")
    bench.beat("m", 1, owned={"orders": {0, 1, 2, 3}})
    bench.advance(29_999)
    assert bench.beat("m", 1, owned={"orders": {0, 1, 2, 3}}).error is ErrorCode.NONE
    bench.beat("n", 2)
    bench.advance(1)
    assert bench.beat("m", 1).error is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.parts(bench.beat("n", 2)) == {0, 1, 2, 3}


def test_who_gave_up_in_time_is_left_alone(bench: Any) -> None:
    bench.enter("m", rebalance_timeout_ms=30_000)
    bench.enter("n")
    kept = bench.parts(bench.beat("m", 1))
    bench.beat("m", 1, owned={"orders": kept})
    bench.advance(30_000)
    assert bench.beat("m", 2).error is ErrorCode.NONE


def test_a_static_member_that_is_away_keeps_its_partitions(bench: Any) -> None:
    bench.enter("m", instance_id="one")
    bench.enter("n", instance_id="two")
    kept = bench.parts(bench.beat("m", 1, instance_id="one"))
    bench.beat("m", 1, instance_id="one", owned={"orders": kept})
    others = bench.parts(bench.beat("n", 2, instance_id="two"))
    epoch = bench.consumers.epoch

    away = bench.beat("m", -2, instance_id="one")
    assert (away.error, away.member_epoch) == (ErrorCode.NONE, -2)
    assert bench.beat("n", 2, instance_id="two").assignment is None
    back = bench.enter("m2", instance_id="one")

    assert (back.error, back.member_epoch, bench.parts(back)) == (ErrorCode.NONE, epoch, kept)
    assert bench.consumers.epoch == epoch
    assert bench.beat("n", 2, instance_id="two").assignment is None
    assert kept | others == {0, 1, 2, 3}
    assert bench.beat("m", 2, instance_id="one").error is ErrorCode.FENCED_INSTANCE_ID
    assert bench.beat("m", 2).error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_static_member_that_stays_away_loses_its_partitions(bench: Any) -> None:
    bench.enter("m", instance_id="one")
    bench.beat("m", -2, instance_id="one")
    bench.advance(45_000)
    assert bench.consumers.state is ConsumerGroupState.EMPTY
    assert bench.parts(bench.enter("m2", instance_id="one")) == {0, 1, 2, 3}


def test_an_instance_id_belongs_to_who_has_not_left(bench: Any) -> None:
    bench.enter("m", instance_id="one")
    refused = bench.enter("n", instance_id="one")
    assert (refused.error, refused.error_message) == (
        ErrorCode.UNRELEASED_INSTANCE_ID,
        "Static member n with instance id one cannot join the group because the instance id is owned by m member.",
    )
    assert bench.beat("n", 1, instance_id="one").error is ErrorCode.FENCED_INSTANCE_ID
    assert bench.beat("m", 1, instance_id="one").error is ErrorCode.NONE


@pytest.mark.parametrize("epoch", [1, -1, -2])
def test_an_unknown_instance_id_is_refused(bench: Any, epoch: int) -> None:
    bench.enter("m")
    result = bench.beat("m", epoch, instance_id="nobody")
    assert (result.error, result.error_message) == (ErrorCode.UNKNOWN_MEMBER_ID, "Instance id nobody is unknown.")


def test_a_static_member_may_leave_for_good(bench: Any) -> None:
    bench.enter("m", instance_id="one")
    assert bench.beat("m", -1, instance_id="one").error is ErrorCode.NONE
    assert bench.consumers.is_empty
    assert bench.enter("n", instance_id="one").error is ErrorCode.NONE
