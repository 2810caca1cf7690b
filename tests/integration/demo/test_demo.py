"""The demo on its real data: against a computation by the csv module alone, from the checkout and from the wheel."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
FLIGHTS = ROOT / "examples" / "flights"
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
LISTENS = re.compile(r"PLAINTEXT://([\d.]+:\d+)")


@pytest.fixture(scope="session")
def expected() -> list[dict[str, Any]]:
    """What the demo must find, by the csv module and arithmetic."""
    groups: dict[tuple[str, str], list[int | None]] = defaultdict(list)
    with gzip.open(FLIGHTS / "flights-2013-01.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            day = f"{int(row['year'])}-{int(row['month']):02}-{int(row['day']):02}"
            delay = None if row["dep_delay"] == "NA" else int(row["dep_delay"])
            groups[row["origin"], day].append(delay)
    assert sum(map(len, groups.values())) == 27_004
    results = []
    for (origin, day), delays in sorted(groups.items()):
        known = [delay for delay in delays if delay is not None]
        mean = round(sum(known) / len(known), 2)
        results.append(
            {
                "origin": origin,
                "day": day,
                "flights": len(delays),
                "cancelled": len(delays) - len(known),
                "mean_delay": mean,
                "worst_delay": max(known),
            }
        )
    return results


def in_database(place: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(place / "mainstem-data" / "flights-demo" / "delays.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM delays ORDER BY origin, day")]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The demo as `make demo` runs it, in an empty directory."""
    place = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, FLIGHTS / "pipeline.py"],
        cwd=place, capture_output=True, text=True, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return place, done


def test_the_table_in_sqlite_is_what_the_csv_module_computes(demo, expected):
    assert in_database(demo[0]) == expected


def test_the_table_that_is_printed_is_the_same(demo, expected):
    printed = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in demo[1].stdout.splitlines()
        if line.startswith("│")
    }
    by_day: dict[str, list[str]] = defaultdict(list)
    for result in expected:
        by_day[result["day"]].append(f"{result['mean_delay']:.1f} ({result['flights']})")
    assert printed == by_day
    assert len(printed) == 31


def test_the_summary_counts_what_was_read_and_written(demo):
    lines = [line.split() for line in demo[1].stderr.splitlines()]
    [load] = [line for line in lines if line and line[0] == "load"]
    [delays] = [line for line in lines if line and line[0] == "delays"]
    assert load[1:5] == ["27,004", "27,004", "to", "sink"]
    assert delays[1:8] == ["27,004", "93", "to", "sqlite,", "93", "to", "topic"]
    assert load[-1] == delays[-1] == "finished"


@contextmanager
def command_of_broker(command: str, place: Path) -> Iterator[str]:
    """Run a `mainstem broker ...` command line on a free port; gives its address."""
    arguments = [sys.executable, "-m", "mainstem.cli.main", *shlex.split(command)[1:]]
    arguments += ["--override", "listeners=PLAINTEXT://127.0.0.1:0"]
    with subprocess.Popen(arguments, cwd=place, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        listens = next(found[1] for line in process.stderr if (found := LISTENS.search(line)))
        reader = threading.Thread(target=process.stderr.read)  # it must not wait for somebody to read its log
        reader.start()
        try:
            yield listens
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            reader.join()


def test_the_commands_that_are_suggested_work(demo, expected):
    place, done = demo
    commands = re.findall(r"mainstem (?:broker|console-consumer) .*", done.stdout)
    assert len(commands) == 2
    with command_of_broker(commands[0], place) as address:
        consume = shlex.split(commands[1].replace("localhost:9092", address))
        consumed = subprocess.run(
            [sys.executable, "-m", "mainstem.cli.main", *consume[1:], "--max-messages", "93", "--timeout-ms", "20000"],
            capture_output=True, text=True, check=False, env=ENVIRONMENT,
        )  # fmt: skip
    assert consumed.returncode == 0, consumed.stderr
    results = [json.loads(line) for line in consumed.stdout.splitlines()]
    assert sorted(results, key=lambda result: (result["origin"], result["day"])) == expected


def test_a_second_run_starts_from_nothing(demo, expected):
    place, _ = demo
    done = subprocess.run(
        [sys.executable, FLIGHTS / "pipeline.py"],
        cwd=place, capture_output=True, text=True, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert in_database(place) == expected


def test_the_demo_runs_from_the_wheel_outside_of_the_checkout(environment, expected, tmp_path):
    done = environment.run("-m", "mainstem.cli.main", "demo", cwd=tmp_path)
    assert in_database(tmp_path) == expected
    script = re.search(r"run it again: +(\S+)", done.stdout)
    assert script is not None
    assert Path(script[1]).is_relative_to(environment.place)


def test_the_data_is_small_and_its_licence_is_named():
    assert (FLIGHTS / "flights-2013-01.csv.gz").stat().st_size < 1_000_000
    readme = (FLIGHTS / "README.md").read_text()
    assert "CC0" in readme
    assert "Bureau of Transportation Statistics" in readme
