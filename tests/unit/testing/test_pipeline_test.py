"""The kit for tests of plans, used as its users do."""

from __future__ import annotations

import pytest

from mainstem.pipeline.errors import PipelineError
from mainstem.pipeline.plan.aggregates import Count, Sum
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.windows import Tumbling
from mainstem.testing.pipeline_test import PipelineTest

TOTALS = (
    Pipeline("totals")
    .source("orders", key="string", value="json")
    .aggregate(total=Sum("amount"))
    .sink("totals", key="string", value="json")
)
COUNTS = (
    Pipeline("counts")
    .source("words", value="string")
    .key_by(str.lower, field="word")
    .window(Tumbling("1h"), grace="5m", late=lambda words: words.sink("late", key="string", value="string"))
    .aggregate(n=Count())
    .sink("counts", key="string", value="json")
)


def test_inputs_and_outputs_in_lines():
    with PipelineTest(TOTALS) as test:
        test.send("orders", {"amount": 5}, {"amount": 2}, key="ann")
        assert test.values("totals") == [{"key": "ann", "total": 5}, {"key": "ann", "total": 7}]
        assert test.committed("orders") == {0: 2}


@pytest.mark.parametrize("exactly_once", [False, True])
def test_state_survives_crashes_and_rebalances(exactly_once):
    with PipelineTest(TOTALS, exactly_once=exactly_once) as test:
        test.send("orders", {"amount": 5}, key="ann")
        test.crash()
        test.send("orders", {"amount": 2}, key="ann")
        test.rebalance()
        test.send("orders", {"amount": 1}, key="ann")
        assert test.values("totals")[-1] == {"key": "ann", "total": 8}
        if exactly_once:
            assert [value["total"] for value in test.values("totals")] == [5, 7, 8]


@pytest.mark.parametrize("step", ["producer.produce", "producer.flush", "consumer.commit", "consumer.committed"])
def test_a_crash_at_a_step_repeats_results_and_counts_nothing_twice(step):
    with PipelineTest(TOTALS) as test:
        test.send("orders", {"amount": 5}, key="ann")
        test.crash_at(step)
        test.send("orders", {"amount": 2}, key="ann")
        totals = [value["total"] for value in test.values("totals")]
        assert totals[-1] == 7
        assert set(totals) == {5, 7}


def test_windows_close_by_event_time_and_late_records_go_their_way():
    with PipelineTest(COUNTS, partitions={"words": 2}) as test:
        test.send("words", "A", at="2026-11-26T12:00", partition=0)
        test.send("words", "a", at="2026-11-26T12:30", partition=1)
        assert test.values("counts") == []
        for partition in (0, 1):
            test.send("words", "b", at="2026-11-26T13:30", partition=partition)
        test.advance("1s")
        (result,) = test.values("counts")
        assert (result["word"], result["n"]) == ("a", 2)
        test.send("words", "A", at="2026-11-26T12:10", partition=0)
        assert test.values("late") == ["A"]


def test_a_record_that_stops_the_pipeline_is_named():
    with PipelineTest(TOTALS) as test, pytest.raises(PipelineError, match="split orders-0, offset 0"):
        test.send("orders", {"price": 1}, key="ann")


def test_what_is_not_read_cannot_be_sent():
    with PipelineTest(TOTALS) as test, pytest.raises(ValueError, match="does not read topic order"):
        test.send("order", {})
