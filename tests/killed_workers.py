"""Workers of one pipeline that are killed with signal 9 while they work, whatever carries their topics: what each guarantee
says holds.

Two processes share a pipeline whose records move by key. One of them is killed whenever results have come on, and started
again; orders are produced all the while.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from mainstem.api.batch import Batch
from mainstem.api.transport import Transport, TransportError
from mainstem.model.ids import TopicPartition

ORDERS = 6_000
KILLS = 6
PARTITIONS = 3
DEADLINE_S = 90
MOMENT_MS = 50
SCRIPT = """
from mainstem import Count, Pipeline, Sum, run

run(
    Pipeline({name!r})
    .source({topic!r}, value="json")
    .key_by("customer")
    .aggregate(n=Count(), total=Sum("amount"))
    .sink({sink})
)
"""
TOPIC_SINK = "{name!r} + '-totals', key='string', value='json', partitions=3"


class Carrier(Protocol):
    """The topics, as somebody beside the workers sees them."""

    def produce(self, topic: str, values: Sequence[bytes]) -> None:
        """Returns when they are there."""

    def read(self, topic: str) -> list[bytes]:
        """Committed values that came since the last call, maybe none; waits for a moment."""


class TransportCarrier:
    """Through a transport of the test's own; its calls run on a loop that stands still in between."""

    def __init__(self, runner: asyncio.Runner, transport: Transport) -> None:
        self._runner = runner
        self._transport = transport
        self._positions = dict.fromkeys(range(PARTITIONS), 0)

    def produce(self, topic: str, values: Sequence[bytes]) -> None:
        async def produce() -> None:
            producer = self._transport.producer()
            for number in range(PARTITIONS):
                mine = list(values[number::PARTITIONS])
                batch = Batch(keys=[None] * len(mine), values=mine, timestamps=[1_700_000_000_000] * len(mine))
                await producer.produce(TopicPartition(topic, number), batch)
            await producer.flush()
            await producer.close()

        self._runner.run(produce())

    def read(self, topic: str) -> list[bytes]:
        async def read() -> list[bytes]:
            found: list[bytes] = []
            for number, position in self._positions.items():
                partition = TopicPartition(topic, number)
                try:
                    got = await self._transport.read(partition, position, max_records=500, max_wait_ms=MOMENT_MS)
                except TransportError:
                    return found  # no worker has made it yet
                self._positions[number] = got.next_offset
                found += [value for value in got.batch.values if value is not None]
            return found

        return self._runner.run(read())


class Workers:
    def __init__(self, folder: Path, name: str, topic: str, sink: str, options: Sequence[str]) -> None:
        self.folder = folder
        (folder / "totals.py").write_text(SCRIPT.format(name=name, topic=topic, sink=sink.format(name=name)))
        self._command = [sys.executable, "totals.py", *options]
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with (self.folder / f"worker-{time.monotonic_ns()}.log").open("wb") as log:
            self.running.append(subprocess.Popen(self._command, cwd=self.folder, stderr=log, env=dict(os.environ)))

    def kill(self, place: int) -> None:
        victim = self.running.pop(place)
        victim.send_signal(signal.SIGKILL)
        victim.wait()

    def stop(self) -> None:
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            process.wait(30)

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("worker-*.log")))


class _Results:
    def __init__(self, carrier: Carrier, topic: str, workers: Workers) -> None:
        self._carrier = carrier
        self._topic = topic
        self._workers = workers
        self.found: list[dict[str, Any]] = []

    def read(self, until: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + DEADLINE_S
        while not until():
            logs = self._workers.logs()
            assert "mainstem:" not in logs, logs[-3000:]
            assert time.monotonic() < ends, f"after {DEADLINE_S} s still not: {what}\n{logs[-3000:]}"
            self.found += map(json.loads, self._carrier.read(self._topic))

    def counted(self) -> dict[str, int]:
        last: dict[str, int] = {}
        for one in self.found:
            last[one["customer"]] = max(one["n"], last.get(one["customer"], 0))
        return last


def check_totals(
    folder: Path,
    carrier: Carrier,
    *,
    name: str,
    topic: str,
    options: Sequence[str],
    exactly_once: bool,
    sink: str = TOPIC_SINK,
) -> None:
    """`topic` is there; `options` are those of `mainstem run` that lead to it; `sink` is written as in the script."""
    chance = random.Random(11)
    orders = [(f"c{chance.randrange(20)}", chance.randrange(1, 100)) for _ in range(ORDERS)]
    workers = Workers(folder, name, topic, sink, [*options, *(["--exactly-once"] if exactly_once else [])])
    results = _Results(carrier, f"{name}-totals", workers)
    totals: Counter[str] = Counter()
    for customer, amount in orders:
        totals[customer] += amount
    counts = Counter(customer for customer, _ in orders)
    workers.start()
    workers.start()
    try:
        for number in range(KILLS):
            part = orders[number * ORDERS // KILLS : (number + 1) * ORDERS // KILLS]
            carrier.produce(topic, [json.dumps({"customer": one, "amount": amount}).encode() for one, amount in part])
            known = len(results.found)
            results.read(lambda known=known: len(results.found) > known, "results come on")  # type: ignore[misc]
            workers.kill(chance.randrange(2))
            workers.start()
        results.read(
            lambda: all(results.counted().get(customer, 0) >= count for customer, count in counts.items()),
            "every order was counted",
        )
    finally:
        workers.stop()
    if exactly_once:
        assert len(results.found) == ORDERS, "one result for each order"
        assert results.counted() == dict(counts)
        told = {(one["customer"], one["n"]): one["total"] for one in results.found}
        assert {customer: told[customer, counts[customer]] for customer in counts} == dict(totals)
    else:
        assert all(results.counted()[customer] >= counts[customer] for customer in counts), "nothing is lost"
    assert "Traceback" not in workers.logs()
