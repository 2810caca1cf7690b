"""Scripts on `memory://`: no broker, no disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SCRIPT = """
from mainstem import Pipeline, run

numbers = (
    Pipeline("numbers")
    .source(connector="files", path="numbers.jsonl")
    .map(lambda number: {"number": number, "square": number * number})
    .sink("squares", value="json")
)
big = (
    Pipeline("big")
    .source("squares", value="json")
    .filter(lambda value: value["number"] >= 8)
    .sink(connector="files", path="big.jsonl")
)
run(numbers, big, broker="memory://numbers")
"""


@pytest.fixture
def numbers(tmp_path: Path) -> None:
    (tmp_path / "numbers.jsonl").write_text("".join(f"{number}\n" for number in range(10)))


def test_pipelines_of_a_script_meet_in_memory(start, tmp_path, numbers):
    status, _, errors = start(SCRIPT, "--once").end()
    assert status == 0, errors
    found = [json.loads(line) for line in (tmp_path / "big.jsonl").read_text().splitlines()]
    assert found == [{"number": 8, "square": 64}, {"number": 9, "square": 81}]
    assert not (tmp_path / "mainstem-data").exists(), "nothing of a broker was written"


def test_workers_cannot_share_the_memory_of_one_process(start, numbers):
    status, _, errors = start(SCRIPT, "--once", "--workers", "2").end()
    assert status == 1
    assert "memory:// is seen by one process only" in errors


EXACTLY_ONCE = """
from mainstem import Pipeline, run

fill = Pipeline("fill").source(connector="files", path="numbers.jsonl").sink("in", value="json")
double = Pipeline("double").source("in", value="json").map(lambda number: 2 * number).sink("out", value="json")
tell = Pipeline("tell").source("out", value="json").sink(connector="files", path="out.jsonl")
run(fill, broker="memory://once", once=True)
for _ in range(2):
    run(double, broker="memory://once", once=True, exactly_once=True)
run(tell, broker="memory://once", once=True)
"""


def test_exactly_once_on_memory_writes_each_record_once_although_it_runs_twice(start, tmp_path, numbers):
    status, _, errors = start(EXACTLY_ONCE).end()
    assert status == 0, errors
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert found == [2 * number for number in range(10)]
