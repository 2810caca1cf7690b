"""Every script of examples/tutorial does what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mainstem.app.plugins import PluginManager
from mainstem.cli.scripts import plans_of
from mainstem.pipeline.plan.check import check
from mainstem.pipeline.plan.diagram import mermaid, svg
from mainstem.testing.pipeline_test import PipelineTest

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "tutorial"
SCRIPTS = sorted(FOLDER.glob("t*.py"))


@contextmanager
def script(name: str) -> Iterator[PipelineTest]:
    with PipelineTest(*plans_of(FOLDER / f"{name}.py")) as test:
        yield test


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_every_script_has_a_sound_plan_that_can_be_drawn(path):
    (graph,) = check(plans_of(path), PluginManager())
    assert mermaid(graph).startswith("flowchart LR")
    assert svg(graph).endswith("</svg>")
    assert path.stem in (FOLDER / "README.md").read_text()


def test_first_pipeline():
    with script("t1_first_pipeline") as test:
        test.send("orders", {"amount": 120}, {"amount": 5})
        assert test.values("large-orders") == [{"amount": 120, "total": 144.0}]


def test_running_totals():
    with script("t2_running_totals") as test:
        test.send("orders", {"customer": "ann", "amount": 5}, {"customer": "ann", "amount": 2})
        test.crash()
        test.send("orders", {"customer": "ann", "amount": 1})
        assert test.values("totals")[-1] == {"customer": "ann", "orders": 3, "total": 8, "largest": 5}


def test_windows():
    def order(amount: int, at: str) -> dict[str, Any]:
        return {"product": "tea", "amount": amount, "at": f"2026-11-26T{at}"}

    with script("t3_windows") as test:
        test.send("orders", order(2, "12:00:10"), order(4, "12:00:50"), order(1, "12:01:20"), order(9, "12:00:01"))
        (result,) = test.values("orders-per-minute")
        assert (result["orders"], result["mean_amount"]) == (2, 3.0)
        assert [late["amount"] for late in test.values("late-orders")] == [9]


def test_sessions():
    def click(page: str, at: str) -> dict[str, Any]:
        return {"user": "ann", "page": page, "at": f"2026-11-26T{at}"}

    with script("t4_sessions") as test:
        test.send("clicks", click("home", "12:00"), click("shop", "12:20"), click("help", "14:00"))
        visits = test.values("visits")
        assert [(visit["clicks"], visit["entered"], visit["left"]) for visit in visits] == [
            (1, "home", "home"),
            (2, "home", "shop"),
            (1, "help", "help"),
        ]


def test_enrich():
    with script("t5_enrich") as test:
        test.send("customers", {"name": "Ann"}, key="a")
        test.send("orders", {"amount": 1}, key="a")
        test.send("orders", {"amount": 2}, key="b")
        assert [order["name"] for order in test.values("enriched-orders")] == ["Ann", None]


def test_as_of():
    with script("t6_as_of") as test:
        test.send("trades", {"size": 1, "at": "2026-11-26T12:00:30"}, key="x")
        test.send("quotes", {"price": 10, "at": "2026-11-26T12:00:00"}, key="x")
        test.send("quotes", {"price": 11, "at": "2026-11-26T12:00:40"}, key="x")
        test.send("trades", {"size": 2, "at": "2026-11-26T12:01:00"}, key="x")
        assert [trade["price"] for trade in test.values("priced-trades")] == [10]


def test_errors():
    with script("t7_errors") as test:
        test.send("orders", {"product": "tea"}, {"product": "milk"}, {"product": "coffee"})
        for _ in range(20):
            test.settle()
            if len(test.values("priced-orders")) == 2:
                break
        assert [order["price"] for order in test.values("priced-orders")] == [3, 4]
        assert [json.loads(value) for value in test.values("orders-dead")] == [{"product": "milk"}]


def test_alerts():
    with script("t8_alerts") as test:
        test.send("readings", {"value": 1.5, "at": "2026-11-26T12:00:00"}, key="s1")
        test.send("readings", {"value": 2.0, "at": "2026-11-26T12:05:00"}, key="s2")
        test.send("readings", {"value": 1.7, "at": "2026-11-26T12:05:01"}, key="s1")
        assert test.values("alerts") == ["s1 is silent, last value 1.5", "s1 is back"]


def test_branches():
    with script("t9_branches") as test:
        test.send("payments", {"kind": "card", "customer": "ann", "amount": 5}, {"kind": "transfer", "amount": 5_000})
        test.send("payments", {"kind": "cash", "amount": 1})
        assert [total["total"] for total in test.values("card-totals")] == [5]
        assert [payment["amount"] for payment in test.values("large-transfers")] == [5_000]
        assert len(test.values("archive")) == 3
