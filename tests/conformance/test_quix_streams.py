"""Quix Streams with exactly-once: a stateful count with its changelog, over a crash that loses the state folder."""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from peers.programs import BUILD_TIMEOUT_S, python_programs_interpreter
from peers.reading import read_all

pytestmark = pytest.mark.conformance

PROGRAM = Path(__file__).resolve().parent / "python" / "quix_counts.py"
CRASHED = 42
KEYS = 5
RECORDS = 200
RUN_TIMEOUT_S = 120


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_counts_are_exact_over_a_crash(bootstrap: str, new_topic: Callable[..., str], fresh_name: Callable[[], str]):
    interpreter = python_programs_interpreter()
    source, counts, group = new_topic(2), new_topic(2), fresh_name()
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(RECORDS):
        producer.produce(source, key=f"key {n % KEYS}", value=f"{n}")
    assert producer.flush(30) == 0

    def run(exit_after: int) -> subprocess.CompletedProcess[str]:
        # Each run has a state folder of its own: what was counted before comes back from the changelog.
        with tempfile.TemporaryDirectory(prefix="quix-") as state:
            arguments = [bootstrap, group, source, counts, state, f"{exit_after}"]
            return subprocess.run(
                [interpreter, str(PROGRAM), *arguments],
                capture_output=True,
                text=True,
                timeout=RUN_TIMEOUT_S,
                check=False,
            )

    crashed = run(75)
    assert crashed.returncode == CRASHED, crashed.stderr
    finished = run(0)
    assert finished.returncode == 0, finished.stderr

    committed = read_all(bootstrap, counts, 2, "read_committed")
    for key in {key for key, _ in committed}:
        assert [int(count) for k, count in committed if k == key] == list(range(1, RECORDS // KEYS + 1))
    assert {key for key, _ in committed} == {f"key {n}" for n in range(KEYS)}
