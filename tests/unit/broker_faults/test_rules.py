"""What a rule may say, and how often it does what it says: seeded, counted, skipped."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.broker.faults.registry import Faults, Rule
from mainstem.broker.faults.rules import Fault, check_fault, fault_from_json
from mainstem.model.errors import ConfigError


def fired(seed: int, number: int = 1, requests: int = 200, **fields: Any) -> list[bool]:
    rule = Rule(number, Fault(kind="disconnect", **fields), seed)
    return [rule.fires() for _ in range(requests)]


def test_every_request_that_fits_gets_the_fault() -> None:
    assert fired(0, requests=3) == [True, True, True]


def test_the_first_are_skipped_and_so_many_get_it() -> None:
    assert fired(0, requests=6, skip=2, count=3) == [False, False, True, True, True, False]


def test_the_same_seed_gives_the_same_faults() -> None:
    chance = {"probability": 0.3}
    assert fired(7, **chance) == fired(7, **chance)
    assert fired(7, **chance) != fired(8, **chance)
    assert fired(7, number=1, **chance) != fired(7, number=2, **chance)
    assert 30 < sum(fired(7, **chance)) < 90


def test_a_rule_draws_for_its_own_requests_only() -> None:
    """So that what other rules are for does not change what this one does."""
    alone, beside = (
        Rule(1, Fault(kind="disconnect", probability=0.5), 7),
        Rule(1, Fault(kind="disconnect", probability=0.5), 7),
    )
    other = Rule(2, Fault(kind="disconnect", probability=0.5), 7)
    first = [alone.fires() for _ in range(50)]
    second = []
    for _ in range(50):
        other.fires()
        second.append(beside.fires())
    assert first == second


def test_extremes_of_chance() -> None:
    assert not any(fired(0, probability=0.0))
    assert all(fired(0, probability=1.0))


def test_a_coordinator_that_moved_is_elsewhere_until_it_is_looked_for() -> None:
    rule = Rule(1, Fault(kind="coordinator-move", group="g", count=1), 0)
    assert [rule.moves() for _ in range(3)] == [True, True, True]
    rule.is_moved = False
    assert [rule.moves() for _ in range(3)] == [False, False, False]
    assert rule.status.injected == 1


def test_every_member_joins_again_once() -> None:
    rule = Rule(1, Fault(kind="rebalance", group="g"), 0)
    assert [rule.rebalances(member) for member in "aabab"] == [True, False, True, False, False]
    twice = Rule(1, Fault(kind="rebalance", group="g", count=2), 0)
    assert [twice.rebalances(member) for member in "aaa"] == [True, True, False]


def test_delays_vary_within_what_was_asked() -> None:
    rule = Rule(1, Fault(kind="delay", delay_ms=100, jitter_ms=50), 3)
    delays = [rule.delay_s() for _ in range(100)]
    assert all(0.1 <= delay <= 0.15 for delay in delays)
    assert len(set(delays)) > 1


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": "error"}, "error"),
        ({"kind": "error", "error": "NOT_LEADER"}, "error"),
        ({"kind": "error", "error": "NONE"}, "error"),
        ({"kind": "error", "error": "NOT_COORDINATOR", "api": "Heartbeats"}, "api"),
        ({"kind": "error", "error": "NOT_COORDINATOR", "delay_ms": 5}, "delay_ms"),
        ({"kind": "delay"}, "delay_ms"),
        ({"kind": "delay", "delay_ms": -1}, "delay_ms"),
        ({"kind": "delay", "delay_ms": 10**9}, "delay_ms"),
        ({"kind": "delay", "delay_ms": 5, "error": "NOT_COORDINATOR"}, "error"),
        ({"kind": "disconnect", "probability": 1.5}, "probability"),
        ({"kind": "disconnect", "probability": float("nan")}, "probability"),
        ({"kind": "disconnect", "count": 0}, "count"),
        ({"kind": "disconnect", "skip": -1}, "skip"),
        ({"kind": "disconnect", "partition": -1}, "partition"),
        ({"kind": "coordinator-move"}, "group"),
        ({"kind": "coordinator-move", "group": "g", "topic": "t"}, "topic"),
        ({"kind": "rebalance", "group": ""}, "group"),
        ({"kind": "rebalance", "group": "g", "when": "after"}, "when"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_fault(Fault(**fields))
    assert caught.value.key == named


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"kind":"flood"}', b'{"kind":"error","error":1}', b'{"kind":"delay","delay_ms":5,"x":1}'],
)
def test_a_body_that_is_no_rule_is_refused(body: bytes) -> None:
    with pytest.raises(ConfigError):
        fault_from_json(body)


def test_fields_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match="topics"):
        Faults().disconnect(topics="t")


def test_rules_come_and_go_by_number() -> None:
    faults = Faults(seed=3)
    first = faults.fail("NOT_COORDINATOR", group="g")
    second = faults.delay(5, api="Fetch")
    assert [status.id for status in faults.statuses()] == [first, second]
    faults.remove(first)
    assert [status.fault.kind for status in faults.statuses()] == ["delay"]
    with pytest.raises(ConfigError):
        faults.remove(first)
    with pytest.raises(ConfigError):
        faults.status(first)
    faults.clear()
    assert faults.statuses() == []
    # A number is never given twice, so that seeded runs stay the same.
    assert faults.disconnect() == 3
