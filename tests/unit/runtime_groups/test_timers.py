"""Timers of a coordinator shard."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.runtime.coordinator_timers import CoordinatorTimers


@pytest.fixture
def fired() -> list[Any]:
    return []


@pytest.fixture
def timers(virtual_time: Any, fired: list[Any]) -> CoordinatorTimers:
    return CoordinatorTimers(virtual_time, virtual_time, fired.append)


def test_a_timer_fires_once_when_its_time_has_come(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    timers.set("a", 100, "A")
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
    timers.set("late", 300, "late")
    timers.set("soon", 100, "soon")
    timers.set("between", 200, "between")
    virtual_time.advance(300)
    assert fired == ["soon", "between", "late"]


def test_a_later_timer_of_the_same_key_replaces_the_first(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    timers.set("a", 100, "first")
    virtual_time.advance(50)
    timers.set("a", 100, "second")
    virtual_time.advance(99)
    assert fired == []
    virtual_time.advance(1)
    assert fired == ["second"]


def test_a_timer_may_be_moved_to_an_earlier_time(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    timers.set("a", 1_000, "first")
    timers.set("a", 10, "second")
    virtual_time.advance(10)
    assert fired == ["second"]
    virtual_time.advance(2_000)
    assert fired == ["second"]


def test_a_cancelled_timer_never_fires(timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]) -> None:
    timers.set("a", 100, "A")
    timers.cancel("a")
    timers.cancel("never set")
    virtual_time.advance(1_000)
    assert fired == []


def test_clear_cancels_all(timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]) -> None:
    timers.set("a", 100, "A")
    timers.set("b", 200, "B")
    timers.clear()
    virtual_time.advance(1_000)
    assert fired == []


def test_a_deadline_in_the_past_fires_at_once(timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]) -> None:
    timers.set("a", -5, "A")
    virtual_time.advance(0)
    assert fired == ["A"]


def test_a_timer_set_while_firing_is_kept(virtual_time: Any) -> None:
    fired: list[str] = []

    def fire(command: str) -> None:
        fired.append(command)
        if len(fired) < 3:
            timers.set("a", 100, command)

    timers = CoordinatorTimers(virtual_time, virtual_time, fire)
    timers.set("a", 100, "A")
    virtual_time.advance(1_000)
    assert fired == ["A"] * 3


def test_moving_a_timer_to_later_costs_no_timer_of_the_loop(
    timers: CoordinatorTimers, virtual_time: Any, fired: list[Any]
) -> None:
    """Every heartbeat moves its member's session; a thousand of them must not fill the loop's heap."""
    timers.set("session", 10_000, "expired")
    for _ in range(100):
        virtual_time.advance(90)
        timers.set("session", 10_000, "expired")
    assert virtual_time.calls_scheduled == 1
    virtual_time.advance(10_000)
    assert fired == ["expired"]
    assert virtual_time.calls_scheduled == 2
