"""What a plan says it guarantees follows from its sinks, its transport and how it is run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mainstem.api.connector import ConnectorSpec
from mainstem.app.plugins import PluginManager
from mainstem.pipeline.memory import null_sink
from mainstem.pipeline.plan.aggregates import Count
from mainstem.pipeline.plan.check import check
from mainstem.pipeline.plan.guarantee import Guarantee, guarantees
from mainstem.pipeline.plan.pipeline import Pipeline

SOURCE = Pipeline("p").source("in", value="json")


def told(plan: Pipeline[Any], *, exactly_once: bool = False, transactions: str | None = "v1") -> list[Guarantee]:
    catalog = PluginManager()
    (graph,) = check([plan], catalog)
    return guarantees(graph, catalog, exactly_once=exactly_once, transport="kafka://", transactions=transactions)


@pytest.mark.parametrize(
    ("exactly_once", "transactions", "level", "reason"),
    [
        (False, "v1", "at least once", "--exactly-once prevents that"),
        (False, None, "at least once", "because kafka:// has no transactions"),
        (True, "v1", "exactly once", r"one transaction of kafka:// \(KIP-98\)"),
        (True, "v2", "exactly once", r"one transaction of kafka:// \(KIP-890\)"),
    ],
)
def test_a_topic_is_in_the_transaction_if_there_is_one(exactly_once, transactions, level, reason):
    (one,) = told(SOURCE.sink("out", value="json"), exactly_once=exactly_once, transactions=transactions)
    assert (one.sink, one.level) == ("sink", level)
    assert re.search(reason, one.reason)


def test_each_sink_has_its_own_guarantee():
    plan = SOURCE.sink("out", value="json").sink(connector=null_sink(), name="nowhere")
    topic, connector = told(plan, exactly_once=True)
    assert topic.level == "exactly once"
    assert str(connector) == (
        "nowhere: at least once, because after a crash null may be given a record again, and it takes no part in the transaction"
    )


def test_a_sink_that_replaces_says_so():
    sink = null_sink()
    replacing = ConnectorSpec(
        name="table", sink_config=sink.sink_config, open_sink=sink.open_sink, is_idempotent=lambda _: True
    )
    (one,) = told(SOURCE.sink(connector=replacing))
    assert one.reason.startswith("and once in effect, because table replaces what it has")


def test_state_behind_a_repartition_topic_is_warned_of():
    counted = SOURCE.key_by("customer").aggregate(n=Count()).sink("out", value="json")
    assert "behind key_by state may count a record twice" in told(counted)[0].reason
    assert "behind key_by" not in told(counted, exactly_once=True)[0].reason
