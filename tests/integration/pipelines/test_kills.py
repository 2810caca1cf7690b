"""Workers that are killed with signal 9 while they work, over sockets: what each guarantee says holds.

Two processes share a pipeline whose records move by key. One of them is killed whenever results have come on, and started
again; orders are produced all the while.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

ORDERS = 6_000
KILLS = 6
PARTITIONS = 3
DEADLINE_S = 90
SCRIPT = """
from mainstem import Count, Pipeline, Sum, run

run(
    Pipeline({name!r})
    .source({topic!r}, value="json")
    .key_by("customer")
    .aggregate(n=Count(), total=Sum("amount"))
    .sink({name!r} + "-totals", key="string", value="json", partitions=3)
)
"""


class Workers:
    def __init__(self, folder: Path, bootstrap: str, name: str, topic: str, *, exactly_once: bool) -> None:
        self.folder = folder
        (folder / "client.properties").write_text("session.timeout.ms=6000\nheartbeat.interval.ms=300\n")
        (folder / "totals.py").write_text(SCRIPT.format(name=name, topic=topic))
        self._command = [
            sys.executable,
            "totals.py",
            "--broker",
            f"kafka://{bootstrap}",
            "--broker-config",
            "client.properties",
        ]
        self._command += ["--exactly-once"] if exactly_once else []
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


class Results:
    """Committed records of the topic of results, read as they come."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "checker",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            }
        )
        self._topic = topic
        self._is_assigned = False
        self.found: list[dict[str, Any]] = []

    def read(self, until: Callable[[], bool], what: str, logs: Callable[[], str]) -> None:
        ends = time.monotonic() + DEADLINE_S
        while not until():
            assert "mainstem:" not in logs(), logs()[-3000:]
            assert time.monotonic() < ends, f"after {DEADLINE_S} s still not: {what}\n{logs()[-3000:]}"
            if not self._is_assigned:
                if self._topic not in self._consumer.list_topics(timeout=10).topics:
                    continue
                self._consumer.assign([TopicPartition(self._topic, number, 0) for number in range(PARTITIONS)])
                self._is_assigned = True
            for message in self._consumer.consume(500, 0.1):
                if message.error() is None:
                    self.found.append(json.loads(message.value()))

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def results(bootstrap: str, fresh_name: Callable[[], str]) -> Iterator[Callable[[str], Results]]:
    made: list[Results] = []

    def make(topic: str) -> Results:
        made.append(Results(bootstrap, topic))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("exactly_once", [False, True], ids=["at-least-once", "exactly-once"])
def test_totals_are_right_after_workers_were_killed(tmp_path, bootstrap, new_topic, fresh_name, results, exactly_once):
    name, topic = fresh_name(), new_topic(PARTITIONS)
    chance = random.Random(11)
    orders = [(f"c{chance.randrange(20)}", chance.randrange(1, 100)) for _ in range(ORDERS)]
    workers = Workers(tmp_path, bootstrap, name, topic, exactly_once=exactly_once)
    producer = Producer({"bootstrap.servers": bootstrap})
    found = results(f"{name}-totals")
    workers.start()
    workers.start()
    try:
        for number in range(KILLS):
            part = orders[number * ORDERS // KILLS : (number + 1) * ORDERS // KILLS]
            for customer, amount in part:
                producer.produce(topic, json.dumps({"customer": customer, "amount": amount}))
            assert producer.flush(30) == 0
            known = len(found.found)
            found.read(lambda known=known: len(found.found) > known, "results come on", workers.logs)
            workers.kill(chance.randrange(2))
            workers.start()
        expected: Counter[str] = Counter()
        for customer, amount in orders:
            expected[customer] += amount
        counts = Counter(customer for customer, _ in orders)

        def highest() -> dict[str, int]:
            last: dict[str, int] = {}
            for one in found.found:
                last[one["customer"]] = max(one["n"], last.get(one["customer"], 0))
            return last

        found.read(
            lambda: all(highest().get(customer, 0) >= count for customer, count in counts.items()),
            "every order was counted",
            workers.logs,
        )
    finally:
        workers.stop()
    totals = {(one["customer"], one["n"]): one["total"] for one in found.found}
    if exactly_once:
        assert len(found.found) == ORDERS, "one result for each order"
        assert highest() == dict(counts)
        assert {customer: totals[customer, counts[customer]] for customer in counts} == dict(expected)
    else:
        assert all(highest()[customer] >= counts[customer] for customer in counts), "nothing is lost"
    assert "Traceback" not in workers.logs()
