"""Timers of a coordinator shard."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.decision import Timer
from mainstem.runtime.coordinator_timers import STALL_MS, CoordinatorTimers


@pytest.fixture
def fired() -> list[Any]:
    return []


@pytest.fixture
def timers(virtual_time: Any, fired: list[Any]) -> CoordinatorTimers:
    return CoordinatorTimers(virtual_time, virtual_time, fired.append)


def test_a_timer_fires_once_when_its_time_has_come(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    timers.set(Timer("a", 100, "A"))
    virtual_time.advance(99)
    assert fired == []
    virtual_time.advance(1)
    assert fired == ["A"]
    virtual_time.advance(1_000)
    assert fired == ["A"]
    assert len(timers) == 0


def test_timers_fire_in_the_order_of_their_deadlines(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    timers.set(Timer("late", 300, "late"))
    timers.set(Timer("soon", 100, "soon"))
    timers.set(Timer("between", 200, "between"))
    virtual_time.advance(300)
    assert fired == ["soon", "between", "late"]


def test_a_later_timer_of_the_same_key_replaces_the_first(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    timers.set(Timer("a", 100, "first"))
    virtual_time.advance(50)
    timers.set(Timer("a", 100, "second"))
    virtual_time.advance(99)
    assert fired == []
    virtual_time.advance(1)
    assert fired == ["second"]


def test_a_timer_may_be_moved_to_an_earlier_time(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    timers.set(Timer("a", 1_000, "first"))
    timers.set(Timer("a", 10, "second"))
    virtual_time.advance(10)
    assert fired == ["second"]
    virtual_time.advance(2_000)
    assert fired == ["second"]


def test_a_cancelled_timer_never_fires(timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]) -> None:
    timers.set(Timer("a", 100, "A"))
    timers.set(Timer("a", None))
    timers.set(Timer("never set", None))
    virtual_time.advance(1_000)
    assert fired == []


def test_clear_cancels_all(timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]) -> None:
    timers.set(Timer("a", 100, "A"))
    timers.set(Timer("b", 200, "B"))
    timers.clear()
    virtual_time.advance(1_000)
    assert fired == []


def test_a_deadline_in_the_past_fires_at_once(timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]) -> None:
    timers.set(Timer("a", -5, "A"))
    virtual_time.advance(0)
    assert fired == ["A"]


def test_a_timer_set_while_firing_is_kept(virtual_time: Any) -> None:
    fired: list[str] = []

    def fire(command: str) -> None:
        fired.append(command)
        if len(fired) < 3:
            timers.set(Timer("a", 100, command))

    timers = CoordinatorTimers(virtual_time, virtual_time, fire)
    timers.set(Timer("a", 100, "A"))
    virtual_time.advance(1_000)
    assert fired == ["A"] * 3


def test_moving_a_timer_to_later_costs_no_timer_of_the_loop(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    """Every heartbeat moves its member's session; a thousand of them must not fill the loop's heap."""
    timers.set(Timer("session", 10_000, "expired"))
    for _ in range(100):
        virtual_time.advance(90)
        timers.set(Timer("session", 10_000, "expired"))
    assert virtual_time.calls_scheduled == 1
    virtual_time.advance(10_000)
    assert fired == ["expired"]
    assert virtual_time.calls_scheduled == 2


def silence(delay_ms: int) -> Timer:
    return Timer("session", delay_ms, "expired", times_silence=True)


def test_silence_is_not_counted_while_answers_are_owed(virtual_time: Any, fired: list[Any]) -> None:
    owes = [True]
    timers = CoordinatorTimers(virtual_time, virtual_time, fired.append, lambda: owes[0])
    timers.set(silence(100))
    timers.set(Timer("other", 100, "other"))
    virtual_time.advance(10_000)
    assert fired == ["other"]
    owes[0] = False
    virtual_time.advance(STALL_MS)
    assert fired == ["other", "expired"]


def test_silence_is_not_counted_when_the_loop_was_stalled(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    """The loop wakes long after the deadline: what the member said meanwhile is read before its session ends."""
    timers.set(silence(100))
    timers.set(Timer("other", 100, "other"))
    virtual_time.stall(100 + STALL_MS + 1)
    assert fired == ["other"]
    timers.set(silence(1_000))
    virtual_time.advance(999)
    assert fired == ["other"]
    virtual_time.advance(1)
    assert fired == ["other", "expired"]


def test_a_silent_member_is_given_up_soon_after_a_stall(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    timers.set(silence(100))
    virtual_time.stall(60_000)
    assert fired == []
    virtual_time.advance(STALL_MS)
    assert fired == ["expired"]


def test_only_timers_that_still_run_begin_again(timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]) -> None:
    timers.set(silence(100))
    timers.begin_again([silence(300), Timer("gone", 10, "gone")])
    virtual_time.advance(299)
    assert fired == []
    virtual_time.advance(1)
    assert fired == ["expired"]
