"""What the perf tests and the verifiable clients calculate with."""

from __future__ import annotations

from datetime import datetime

import pytest

from mainstem.cli.java_dates import java_date
from mainstem.cli.latencies import Latencies, summary_line
from mainstem.cli.reassignment_plans import proposed
from mainstem.cli.throttle import Throttle
from mainstem.model.errors import ConfigError
from mainstem.model.ids import TopicPartition

WHEN = datetime(2026, 1, 31, 4, 5, 6, 70_000)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy-MM-dd HH:mm:ss:SSS", "2026-01-31 04:05:06:070"),
        ("yy/M/d H:m:s.S", "26/1/31 4:5:6.70"),
        ("dd MMM yyyy", "31 Jan 2026"),
        ("HH'h' mm''", "04h 05'"),
        ("'at' HH", "at 04"),
    ],
)
def test_times_in_javas_patterns(pattern: str, text: str) -> None:
    assert java_date(pattern, WHEN) == text


@pytest.mark.parametrize("pattern", ["hh:mm a", "EEE", "yyyy-ww"])
def test_letters_that_are_not_known_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="is not known"):
        java_date(pattern, WHEN)


def test_latencies_are_summed_up_with_their_percentiles() -> None:
    latencies = Latencies(100)
    for number in range(100):
        assert latencies.record(number, 10) is None
    figures = latencies.summary()
    assert {name: figures[name] for name in figures if name.startswith("latency")} == {
        "latency_avg_ms": 49.5,
        "latency_max_ms": 99,
        "latency_p50_ms": 50,
        "latency_p95_ms": 95,
        "latency_p99_ms": 99,
        "latency_p99.9_ms": 99,
    }
    figures |= {"records_per_s": 12.34, "mb_per_s": 0.5}
    assert summary_line(figures) == (
        "100 records sent, 12.3 records/sec (0.50 MB/sec), 49.50 ms avg latency, 99.00 ms max latency,"
        " 50 ms 50th, 95 ms 95th, 99 ms 99th, 99 ms 99.9th."
    )


def test_no_records_have_no_latency() -> None:
    figures = Latencies(1).summary()
    assert (figures["records"], figures["latency_avg_ms"], figures["latency_p99_ms"]) == (0, 0.0, 0)


def test_samples_are_bounded_whatever_the_number_of_records() -> None:
    latencies = Latencies(50_000_000)
    for number in range(1000):
        latencies.record(number, 1)
    assert len(latencies._samples) == 10
    assert latencies.summary()["latency_max_ms"] == 999


def test_a_throttle_waits_for_as_long_as_it_is_ahead() -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        throttle._start_s -= seconds

    throttle = Throttle(10, wait)
    throttle.pause(20)
    assert sum(waits) == pytest.approx(2.0, abs=0.5)
    unlimited = Throttle(-1, waits.append)
    count = len(waits)
    unlimited.pause(1_000_000)
    assert len(waits) == count


@pytest.mark.parametrize("brokers", [[1], [1, 2], [1, 2, 3], [4, 7, 9, 11, 12]])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_proposals_are_fair(brokers: list[int], factor: int) -> None:
    """Every partition on different brokers; of a topic, no broker leads two partitions more than another."""
    if factor > len(brokers):
        return
    current = {TopicPartition(name, number): [1] * factor for name in ("a", "b") for number in range(10)}
    plan = proposed(current, brokers)
    assert plan.keys() == current.keys()
    assert all(len(set(replicas)) == factor and set(replicas) <= set(brokers) for replicas in plan.values())
    for name in ("a", "b"):
        leaders = [replicas[0] for partition, replicas in plan.items() if partition.topic == name]
        counts = [leaders.count(broker) for broker in brokers]
        assert max(counts) - min(counts) <= 1
