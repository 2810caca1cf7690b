"""ConsumerGroupHeartbeat: who may call in, in which epoch, and what the answer says."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.group.consumer_member import MemberState
from mainstem.core.group.consumer_state import ConsumerGroupState
from mainstem.core.group.settings import GroupSettings
from mainstem.model.errors import ErrorCode

JOINS = {"rebalance_timeout_ms": 1, "topics": ["orders"], "owned": {}}


@pytest.mark.parametrize(
    ("member_id", "epoch", "changes", "message"),
    [
        ("", 0, JOINS, "MemberId can't be empty."),
        (" ", 1, {}, "MemberId can't be empty."),
        ("m", 0, JOINS | {"group_id": " "}, "GroupId can't be empty."),
        ("m", 0, JOINS | {"instance_id": ""}, "InstanceId can't be empty."),
        ("m", 0, JOINS | {"rack_id": ""}, "RackId can't be empty."),
        ("m", 0, JOINS | {"rebalance_timeout_ms": -1}, "RebalanceTimeoutMs must be provided in first request."),
        ("m", 0, JOINS | {"owned": None}, "TopicPartitions must be empty when (re-)joining."),
        ("m", 0, JOINS | {"owned": {"orders": {1}}}, "TopicPartitions must be empty when (re-)joining."),
        (
            "m",
            0,
            {"rebalance_timeout_ms": 1, "owned": {}},
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
        ("m", -2, {}, "InstanceId can't be null."),
        ("m", -3, {}, "MemberEpoch is invalid."),
    ],
)
def test_malformed_requests_are_refused_in_kafkas_words(
    bench: Any, member_id: str, epoch: int, changes: dict[str, Any], message: str
) -> None:
    result = bench.beat(member_id, epoch, **changes)
    assert (result.error, result.error_message) == (ErrorCode.INVALID_REQUEST, message)
    assert bench.log == []


def test_clients_of_version_0_may_leave_their_id_to_the_broker(bench: Any) -> None:
    joined = bench.enter("", needs_own_id=False)
    assert (joined.error, joined.member_id, joined.member_epoch) == (ErrorCode.NONE, "consumer-1", 1)
    assert bench.beat("", 1, needs_own_id=False).error is ErrorCode.INVALID_REQUEST


def test_an_assignor_the_broker_does_not_have_is_refused(bench: Any) -> None:
    result = bench.enter("m", server_assignor="sticky")
    assert result.error is ErrorCode.UNSUPPORTED_ASSIGNOR
    assert result.error_message == ("ServerAssignor sticky is not supported. Supported assignors: uniform, range.")


def test_the_first_member_gets_everything_in_its_first_answer(bench: Any) -> None:
    joined = bench.enter("m")
    assert (joined.member_id, joined.member_epoch, joined.heartbeat_interval_ms) == ("m", 1, 5_000)
    assert bench.parts(joined) == {0, 1, 2, 3}
    assert bench.consumers.state is ConsumerGroupState.STABLE


def test_a_steady_heartbeat_says_and_writes_nothing(bench: Any) -> None:
    bench.enter("m")
    written = len(bench.log)
    answer = bench.beat("m", 1)
    assert (answer.error, answer.member_epoch, answer.assignment) == (ErrorCode.NONE, 1, None)
    assert len(bench.log) == written


def test_a_full_request_is_answered_in_full(bench: Any) -> None:
    bench.enter("m")
    full = bench.beat("m", 1, **(JOINS | {"rebalance_timeout_ms": 60_000, "owned": {"orders": {0, 1, 2, 3}}}))
    assert bench.parts(full) == {0, 1, 2, 3}


def test_heartbeats_of_strangers_are_refused(bench: Any) -> None:
    absent = bench.beat("m", 1)
    assert (absent.error, absent.error_message) == (ErrorCode.GROUP_ID_NOT_FOUND, "Consumer group g not found.")
    bench.enter("m")
    stranger = bench.beat("n", 1)
    assert (stranger.error, stranger.error_message) == (
        ErrorCode.UNKNOWN_MEMBER_ID,
        "Member n is not a member of group g.",
    )
    assert bench.beat("n", -1).error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_group_in_which_members_speak_something_else_is_no_consumer_group(bench: Any) -> None:
    bench.stable_group()
    assert bench.beat("m", 1).error_message == "Group g is not a consumer group."
    assert bench.beat("m", -1).error is ErrorCode.GROUP_ID_NOT_FOUND


def test_an_epoch_ahead_of_the_coordinators_is_fenced(bench: Any) -> None:
    bench.enter("m")
    result = bench.beat("m", 2, owned={"orders": {0}})
    assert result.error is ErrorCode.FENCED_MEMBER_EPOCH
    assert "has a greater member epoch (2) than the one known by the group coordinator (1)" in result.error_message


@pytest.mark.parametrize(
    ("epoch", "owned", "error"),
    [
        (1, {"orders": {0, 1}}, ErrorCode.NONE),
        (1, {}, ErrorCode.NONE),
        (1, {"orders": {2}}, ErrorCode.FENCED_MEMBER_EPOCH),
        (1, {"other": {0}}, ErrorCode.FENCED_MEMBER_EPOCH),
        (1, None, ErrorCode.FENCED_MEMBER_EPOCH),
        (0, {}, ErrorCode.FENCED_MEMBER_EPOCH),
    ],
)
def test_the_epoch_before_is_accepted_from_who_owns_no_more_than_its_part(
    bench: Any, epoch: int, owned: Any, error: ErrorCode
) -> None:
    """The answer with the new epoch may have been lost; whoever owns more has missed something else."""
    bench.enter("m")
    bench.enter("n")
    bench.beat("m", 1, owned={"orders": {0, 1, 2, 3}})
    moved = bench.beat("m", 1, owned={"orders": {0, 1}})
    assert moved.member_epoch == 2
    changes = JOINS if epoch == 0 else {}
    assert bench.beat("m", epoch, **(changes | {"owned": owned})).error is error


def test_a_join_whose_answer_was_lost_may_be_repeated(bench: Any) -> None:
    first = bench.enter("m")
    again = bench.enter("m")
    assert (again.error, again.member_epoch, bench.parts(again)) == (ErrorCode.NONE, 1, bench.parts(first))
    assert bench.consumers.epoch == 1


def test_a_full_group_turns_newcomers_away(make_bench: Any) -> None:
    bench = make_bench(GroupSettings(consumer_max_size=1))
    bench.enter("m")
    turned_away = bench.enter("n")
    assert (turned_away.error, turned_away.error_message) == (
        ErrorCode.GROUP_MAX_SIZE_REACHED,
        "The consumer group has reached its maximum capacity of 1 members.",
    )
    assert bench.beat("m", 1).error is ErrorCode.NONE


def test_nothing_is_given_before_its_owner_let_it_go(bench: Any) -> None:
    bench.enter("m")
    waiting = bench.enter("n")
    assert (waiting.member_epoch, bench.parts(waiting)) == (2, set())
    assert bench.consumers.members["n"].state is MemberState.UNRELEASED_PARTITIONS

    told = bench.beat("m", 1)
    assert (told.member_epoch, len(bench.parts(told))) == (1, 2)
    assert bench.consumers.members["m"].state is MemberState.UNREVOKED_PARTITIONS
    assert bench.beat("n", 2).assignment is None, "m has acknowledged nothing yet"

    kept = bench.parts(told)
    done = bench.beat("m", 1, owned={"orders": kept})
    assert (done.member_epoch, done.assignment) == (2, None)
    given = bench.beat("n", 2)
    assert bench.parts(given) == {0, 1, 2, 3} - kept
    assert bench.consumers.state is ConsumerGroupState.STABLE


def test_states_follow_the_epochs(bench: Any) -> None:
    bench.enter("m")
    bench.enter("n")
    assert bench.consumers.state is ConsumerGroupState.RECONCILING
    bench.beat("n", -1)
    assert bench.consumers.state is ConsumerGroupState.ASSIGNING
    bench.beat("m", -1)
    assert bench.consumers.state is ConsumerGroupState.EMPTY


def test_another_subscription_is_another_epoch(make_bench: Any, make_cluster: Any) -> None:
    bench = make_bench(cluster=make_cluster(orders=2, bills=2))
    bench.enter("m")
    changed = bench.beat("m", 1, topics=["orders", "bills"])
    assert (bench.consumers.epoch, changed.member_epoch) == (2, 2)
    assert (bench.parts(changed), bench.parts(changed, "bills")) == ({0, 1}, {0, 1})

    bench.beat("m", 2, topics=["bills"])
    gone = bench.beat("m", 2, topics=["bills"], owned={"bills": {0, 1}})
    assert (gone.member_epoch, bench.consumers.state) == (3, ConsumerGroupState.STABLE)


def test_a_member_without_topics_is_in_the_group_and_gets_nothing(bench: Any) -> None:
    joined = bench.enter("m", topics=[])
    assert (joined.error, joined.member_epoch, joined.assignment) == (ErrorCode.NONE, 1, {})


def test_topics_that_come_grow_and_go_call_for_another_assignment(bench: Any) -> None:
    bench.enter("m", "orders", "bills")
    bench.change_topics(bills=2)
    answer = bench.beat("m", 1)
    assert (answer.member_epoch, bench.parts(answer, "bills")) == (2, {0, 1})

    bench.change_topics(orders=5)
    answer = bench.beat("m", 2)
    assert (answer.member_epoch, bench.parts(answer)) == (3, {0, 1, 2, 3, 4})

    bench.change_topics(bills=0)
    told = bench.beat("m", 3)
    assert (told.member_epoch, bench.parts(told, "bills")) == (3, set())
    assert bench.beat("m", 3, owned={"orders": {0, 1, 2, 3, 4}}).member_epoch == 4


def test_topics_nobody_is_subscribed_to_change_nothing(bench: Any) -> None:
    bench.enter("m")
    bench.change_topics(bills=2)
    assert bench.beat("m", 1).member_epoch == 1


def test_most_members_choose_the_assignor(make_bench: Any, make_cluster: Any) -> None:
    """`range` gives the first members the larger parts of every topic, `uniform` levels them."""
    bench = make_bench(cluster=make_cluster(a=3, b=3))
    bench.enter("m", "a", "b", server_assignor="range")
    bench.enter("n", "a", "b", server_assignor="range")
    assert {len(parts) for target in bench.consumers.targets.values() for parts in target.values()} == {1, 2}
    assert sorted(sum(map(len, target.values())) for target in bench.consumers.targets.values()) == [2, 4]
    bench.beat("m", 1, server_assignor="uniform", topics=["a", "b"])
    bench.beat("n", 2, server_assignor="uniform")
    bench.enter("o", "a", "b")
    assert {sum(map(len, target.values())) for target in bench.consumers.targets.values()} == {2}


@pytest.mark.parametrize("error", [ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.UNKNOWN_SERVER_ERROR])
def test_what_could_not_be_written_did_not_happen(bench: Any, error: ErrorCode) -> None:
    bench.enter("m")
    bench.refuse_appends = error
    assert bench.enter("n").error is error
    assert bench.beat("m", -1).error is error
    bench.refuse_appends = None
    assert list(bench.consumers.members) == ["m"]
    assert bench.beat("m", 1).error is ErrorCode.NONE
    bench.advance(45_000)
    assert bench.consumers.is_empty, "its session still ends"
