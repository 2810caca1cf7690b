"""Measure mainstem's storages one after the other on this machine: `python benchmarks/storages.py [storage ...]`.

One broker per storage with default settings, the load generator of `bench.py`; the best of a few rounds is printed, because other
work on the machine only ever makes a figure worse.
"""

import argparse
import tempfile
import time
from pathlib import Path

from cells import KILOBYTE, Cell, Job
from processes import resident_megabytes
from rich.console import Console
from rich.table import Table
from run import generate_load
from subjects import OVERRIDES, BrokerNode, MainstemNode, Topics

STORAGES = ("segments", "memory", "sqlite")
BYTES_MAX_PER_JOB = 1_000_000_000
CELLS = (
    Cell(kind="produce", in_flight=1),
    Cell(kind="produce", in_flight=1, acks=-1),
    Cell(kind="produce", in_flight=100, connections=4),
    Cell(kind="produce", in_flight=100, connections=4, acks=-1),
    Cell(kind="produce", records_per_request=16, in_flight=5, connections=4, acks=-1),
    Cell(kind="produce", records_per_request=500, in_flight=5),
    Cell(kind="fetch", records_per_request=500),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("storages", nargs="*", default=STORAGES, help=f"default {' '.join(STORAGES)}")
    parser.add_argument("--rounds", type=int, default=2, help="measurements per cell (default 2)")
    parser.add_argument("--seconds", type=float, default=2.5, help="length of a measurement (default 2.5)")
    options = parser.parse_args()
    table = Table("work", *options.storages)
    found = {storage: measure(storage, options.rounds, options.seconds) for storage in options.storages}
    for name in next(iter(found.values())):
        table.add_row(name, *(found[storage][name] for storage in options.storages))
    Console(width=160).print(table)


def measure(storage: str, rounds: int, seconds: float) -> dict[str, str]:
    """Best figures of every cell, as text."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        overrides = {**OVERRIDES, "log.storage": storage}
        with MainstemNode(overrides=overrides, parent_folder=Path(folder)) as broker:
            topics = Topics(broker.bootstrap)
            for cell in CELLS:
                figures = [measure_once(cell, broker, topics, seconds) for _ in range(rounds)]
                rate = max(each.get("requests_per_s", 0.0) * cell.records_per_request for each in figures)
                megabytes = max(each["megabytes_per_s"] for each in figures)
                found[cell.name] = f"{rate:,.0f} records/s, {megabytes:.0f} MB/s"
                found[f"{cell.name}: p50 p99"] = " ".join(
                    f"{min(each.get(name, 0.0) for each in figures):.1f} ms" for name in ("p50_ms", "p99_ms")
                )
                # What other work on the machine disturbs least.
                microseconds = [
                    1e6 * each["broker_cores"] / (1e6 * each["megabytes_per_s"] / KILOBYTE) for each in figures
                ]
                found[f"{cell.name}: broker"] = f"{min(microseconds):.1f} µs/kB of a core"
            found["resident at the end"] = f"{resident_megabytes(broker.pid):.0f} MB"
    return found


def measure_once(cell: Cell, broker: BrokerNode, topics: Topics, seconds: float) -> dict[str, float]:
    topic = f"bench-{time.monotonic_ns()}"
    topics.create(topic, cell.connections, {})
    job = Job(
        bootstrap=broker.bootstrap,
        broker_pid=broker.pid,
        topic=topic,
        cell=cell,
        warm_up_s=0.5,
        seconds=seconds,
        bytes_max=BYTES_MAX_PER_JOB,
    )
    figures = generate_load(job)
    topics.delete(topic)
    return figures


if __name__ == "__main__":
    main()
