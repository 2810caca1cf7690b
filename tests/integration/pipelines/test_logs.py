"""`--log-format json`: every line that a run says on standard error is one event, with its facts in fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.integration.pipelines.test_run import consume, produce

from mainstem.app.embedded import Broker

COUNTING = """
from mainstem import Count, Pipeline, Skip, run

def whole(value):
    return int(value)

plan = Pipeline("counting").source("in").map(whole, on_error=Skip()).key_by(lambda number: number % 2, field="rest")
plan = plan.aggregate(n=Count()).sink("out", key="json", value="json")
"""
JSON = ["--log-format", "json", "--data", "data", "--once"]


def events(errors: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in errors.splitlines()]
    for one in found:
        assert {"timestamp", "level", "component", "event"} <= one.keys()
    return found


def fill(folder: Any, *values: bytes) -> None:
    with Broker(data=folder) as broker:
        produce(broker.bootstrap_servers, "in", *values)


def one(found: list[dict[str, Any]], event: str, **facts: Any) -> dict[str, Any]:
    [match] = [each for each in found if each["event"] == event and facts.items() <= each.items()]
    return match


@pytest.mark.parametrize("how", ["python", "run"])
def test_every_line_of_a_run_is_an_event(start, tmp_path, how):
    fill(tmp_path / "data", b"1", b"two", b"3")
    status, _, errors = start(COUNTING + "run(plan)\n", *JSON, how=how).end()
    assert status == 0, errors
    found = events(errors)
    assert one(found, "run.guarantee")["guarantee"] == "at least once"
    assert "in-0" in one(found, "pipeline.partitions_assigned")["partitions"]
    aside = one(found, "pipeline.record_set_aside")
    assert aside | {"pipeline": "counting", "stage": "map", "policy": "skip", "count": 1} == aside
    assert aside["place"] == "split in-0, offset 1"
    assert "ValueError" in aside["error"]
    ended = one(found, "run.ended")
    assert (ended["records_read"], ended["written"], ended["is_finished"]) == (3, {"sink": 2}, True)


@pytest.mark.parametrize("how", ["python", "run"])
def test_a_failure_is_an_event_that_names_stage_and_place(start, tmp_path, how):
    fill(tmp_path / "data", b"1", b"two")
    text = COUNTING.replace(", on_error=Skip()", "") + "run(plan)\n"
    status, _, errors = start(text, *JSON, how=how).end()
    assert status == 1
    failed = one(events(errors), "run.failed", level="error")
    assert (failed["pipeline"], failed["stage"]) == ("counting", "map")
    assert failed["place"] == "split in-0, offset 1"


@pytest.mark.parametrize("flags", [[], ["--exactly-once"]], ids=["at least once", "exactly once"])
def test_the_next_run_restores_from_the_snapshot_of_this_one(start, tmp_path, flags):
    fill(tmp_path / "data", *(b"%d" % number for number in range(100)))
    text = COUNTING + "run(plan)\n"
    first = events(start(text, *JSON, *flags).end()[2])
    assert not one(first, "pipeline.restoring", task="source/0")["from_snapshot"]
    fill(tmp_path / "data", b"100", b"101")
    status, _, errors = start(text, *JSON, *flags).end()
    assert status == 0, errors
    again = events(errors)
    restoring = one(again, "pipeline.restoring", task="source/0")
    assert restoring["from_snapshot"]
    if not flags:  # the marker of the last transaction may come after the snapshot was written
        assert restoring["records"] == 0, "nothing of the changelog has to be read"
    one(again, "pipeline.restored", task="source/0")
    with Broker(data=tmp_path / "data") as broker:
        values = consume(broker.bootstrap_servers, "out", 102)
    assert sorted(json.loads(value or b"null")["n"] for value in values) == sorted([*range(1, 52)] * 2)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--log-level", "loud"], "log-level='loud' is not valid: it is one of debug, info, warning, error"),
        (["--log-format", "xml"], "log-format='xml' is not valid: it is one of console, json"),
    ],
)
def test_what_there_is_not_is_named(start, flags, problem):
    status, _, errors = start(COUNTING + "run(plan)\n", *flags).end()
    assert status == 1
    assert problem in errors
