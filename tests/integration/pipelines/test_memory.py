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
