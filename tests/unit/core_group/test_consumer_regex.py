"""Subscriptions by regular expression."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.group.consumer_records import RegexRemoved, RegexStored
from mainstem.core.regular_expression import matching_names, regex_problem
from mainstem.model.errors import ErrorCode

JOIN = {"topics": None, "rebalance_timeout_ms": 60_000}


def expressions(bench: Any) -> dict[str, frozenset[str]]:
    return {regex: resolved.topics for regex, resolved in bench.consumers.regexes.items()}


def test_a_regex_is_resolved_a_moment_later(bench: Any) -> None:
    bench.change_topics(other=2)
    joined = bench.enter("m", **JOIN, regex="ord.*")
    assert (joined.error, joined.member_epoch, joined.assignment) == (ErrorCode.NONE, 1, {})
    bench.advance(0)
    answer = bench.beat("m", 1)
    assert (answer.member_epoch, bench.parts(answer), bench.parts(answer, "other")) == (2, {0, 1, 2, 3}, set())
    assert expressions(bench) == {"ord.*": frozenset({"orders"})}


def test_names_match_as_a_whole(bench: Any) -> None:
    assert matching_names("b", ["abc", "b", "bb"]) == {"b"}
    assert matching_names("^a|c$", ["a", "c", "ac", "abc"]) == {"a", "c"}
    assert matching_names("(?i)ORDERS", ["orders", "Orders", "orders2"]) == {"orders", "Orders"}


@pytest.mark.parametrize("regex", ["(", "[z-a]", "*a", "a{2,1}", r"(?=look)", r"\1", "a**"])
def test_a_regex_that_does_not_compile_is_refused(bench: Any, regex: str) -> None:
    """Look-arounds and back references cannot be evaluated in linear time; RE2, and so Kafka, refuses them."""
    result = bench.enter("m", **JOIN, regex=regex)
    assert result.error is ErrorCode.INVALID_REGULAR_EXPRESSION
    assert result.error_message.startswith(f"SubscribedTopicRegex `{regex}` is not a valid regular expression: ")
    assert regex_problem(regex)
    assert bench.log == []


def test_a_regex_that_takes_others_for_ever_takes_no_time() -> None:
    """Backtracking engines need 2^40 steps here."""
    assert matching_names("(a*)*b", ["a" * 200]) == frozenset()


def test_new_topics_are_found_by_whoever_calls_in_ten_seconds_later(bench: Any) -> None:
    bench.enter("m", **JOIN, regex="o.*")
    bench.advance(0)
    bench.beat("m", 1)
    bench.change_topics(others=1)
    bench.beat("m", 2)
    bench.advance(5_000)
    assert bench.beat("m", 2).assignment is None, "all expressions are refreshed at most every ten seconds"
    bench.advance(5_001)
    bench.beat("m", 2)
    bench.advance(0)
    answer = bench.beat("m", 2)
    assert (answer.member_epoch, bench.parts(answer, "others")) == (3, {0})


def test_deleted_topics_go_without_a_refresh(bench: Any) -> None:
    bench.change_topics(others=1)
    bench.enter("m", **JOIN, regex="o.*")
    bench.advance(0)
    bench.beat("m", 1)
    bench.change_topics(others=0)
    told = bench.beat("m", 2)
    assert bench.parts(told, "others") == set()
    assert bench.beat("m", 2, owned={"orders": {0, 1, 2, 3}}).member_epoch == 3


def test_a_known_regex_gives_a_newcomer_its_part_at_once(bench: Any) -> None:
    bench.enter("m", **JOIN, regex="o.*")
    bench.advance(0)
    bench.beat("m", 1)
    bench.enter("n", **JOIN, regex="o.*")
    assert bench.consumers.epoch == 3
    assert sum(map(len, bench.consumers.targets["n"].values())) == 2


def test_names_and_a_regex_add_up(bench: Any) -> None:
    bench.change_topics(bills=1)
    bench.enter("m", "bills", regex="ord.*")
    bench.advance(0)
    answer = bench.beat("m", 1)
    assert (bench.parts(answer), bench.parts(answer, "bills")) == ({0, 1, 2, 3}, {0})


def test_a_regex_nobody_uses_any_more_is_forgotten(bench: Any) -> None:
    bench.enter("m", **JOIN, regex="o.*")
    bench.enter("n", **JOIN, regex="o.*")
    bench.advance(0)
    bench.beat("m", -1)
    assert not any(isinstance(record, RegexRemoved) for record in bench.log)
    epoch = bench.beat("n", 1, regex="").member_epoch
    assert bench.log.count(RegexRemoved(group_id="g", regex="o.*")) == 1
    assert expressions(bench) == {}

    bench.beat("n", epoch, regex="p.*")
    bench.advance(0)
    bench.beat("n", -1)
    assert bench.log.count(RegexRemoved(group_id="g", regex="p.*")) == 1
    assert bench.consumers.subscribed_names() == set()


def test_a_clock_that_was_set_back_does_not_put_the_refresh_off(bench: Any) -> None:
    bench.enter("m", **JOIN, regex="o.*")
    bench.advance(0)
    bench.beat("m", 1)
    bench.change_topics(others=1)
    bench.now_ms -= 3_600_000
    bench.beat("m", 2)
    bench.advance(0)
    assert "others" in expressions(bench)["o.*"]


def test_expressions_come_back_with_the_log(bench: Any) -> None:
    bench.enter("m", **JOIN, regex="o.*")
    bench.advance(0)
    assert [r.topics for r in bench.log if isinstance(r, RegexStored)] == [("orders",)]
    restarted = bench.restarted()
    assert expressions(restarted) == expressions(bench)
    assert restarted.parts(restarted.beat("m", 1)) == {0, 1, 2, 3}
