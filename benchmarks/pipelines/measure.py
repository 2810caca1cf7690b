"""One measurement: a system gets its topics, works, is watched from outside and ended; what it wrote is checked."""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import KafkaException
from data_folder import data_folder
from job_process import job_process, job_topics
from measure_faust import FaustBench
from measurements import Outcome
from orders import (
    NOTED_BY_THE_BROKER,
    ORDERS,
    WARM_UP,
    Expected,
    TotalsTopic,
    expected_means,
    expected_totals,
    load,
    send_steadily,
)
from systems import FAUST_VARIANTS, JOBS, LATENCY, RESTORE, WINDOWS, System

TIMEOUT_S = 120.0
LATENCY_S = 8.0
LATENCY_SETTLE_S = 2.0
PER_SECOND = 10_000
LATENCY_WARM_UP = 2_000
KEYS = 1_000_000
AGAIN = 2 * KEYS + 1
"""The number of another paid order of the second customer: 7 and 7 are 14."""


class Bench:
    """`bootstrap` is the Apache Kafka that all systems but the embedded one work on."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self._bootstrap = bootstrap
        self._folder = folder
        self._totals = expected_totals()
        self._means = expected_means()

    def measure(self, system: System) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="work-", dir=self._folder) as work:
            try:
                if system.cell in FAUST_VARIANTS:
                    return FaustBench(self._bootstrap, Path(work)).measure(system)
                if system.cell == LATENCY:
                    return (self._embedded_latency if system.is_embedded else self._latency)(system, Path(work))
                if system.cell == RESTORE:
                    return self._restore(system, Path(work))
                if system.is_embedded:
                    return self._embedded(system, Path(work))
                return self._throughput(system, Path(work))
            except (TimeoutError, RuntimeError, KafkaException) as error:
                return Outcome(note=str(error))

    def _throughput(self, system: System, work: Path) -> Outcome:
        """The system works through the warm-up, is stopped while the orders are loaded, and goes on when all of them are there:
        so the time begins and ends with nothing in flight, and nobody's start or load counts."""
        expected = self._means if system.cell == WINDOWS else self._totals
        with job_topics(self._bootstrap) as (source, sink):
            load(self._bootstrap, source, WARM_UP)
            watched = TotalsTopic(self._bootstrap, sink)
            try:
                with self._running(system, f"kafka://{self._bootstrap}", source, sink, work) as process:
                    deadline = time.perf_counter() + TIMEOUT_S
                    watched.wait_for_last(expected.warm, lambda: process.poll() is None, deadline)
                    process.send_signal(signal.SIGSTOP)
                    load(self._bootstrap, source, WARM_UP + ORDERS, first=WARM_UP)
                    before = watched.end()
                    began = time.time()
                    process.send_signal(signal.SIGCONT)
                    return self._watch(process, watched, expected, began, before)
            finally:
                watched.close()

    def _watch(
        self, process: subprocess.Popen[bytes], watched: TotalsTopic, expected: Expected, began: float, before: int
    ) -> Outcome:
        """`before`: the topic's end when it began."""
        deadline = time.perf_counter() + TIMEOUT_S
        try:
            ended = watched.wait_for_last(expected.count, lambda: process.poll() is None, deadline)
        except TimeoutError as error:
            # Slow ones are told by what they did in that time.
            share = (watched.end() - before) / (expected.count - expected.warm)
            return Outcome({"events_per_s": share * expected.events / (time.time() - began)}, note=str(error))
        found = watched.read(expected.field)
        if len(found.appended_ms) != expected.count or found.last != expected.last:
            counts = f"{len(found.appended_ms)} results for {expected.count}, {len(found.last)} customers"
            return Outcome(note=f"wrong: {counts} of {len(expected.last)}")
        return Outcome({"events_per_s": expected.events / (ended - began)})

    def _embedded(self, system: System, work: Path) -> Outcome:
        """The broker is in the process that is measured, so all orders are there before it starts, and the warm-up is over when
        so many totals are: the broker notes when each was appended."""
        data = data_folder(work, WARM_UP + ORDERS, NOTED_BY_THE_BROKER)
        with self._running(system, "embedded://", "orders", "totals", data) as process:
            watched = TotalsTopic(self._address_of(process, data), "totals")
            try:
                outcome = self._watch(process, watched, self._totals, time.time(), 0)
                found = watched.read()
            finally:
                watched.close()
        if "events_per_s" in outcome.figures and not outcome.note:
            return Outcome({"events_per_s": found.per_second(WARM_UP // 2)})
        return outcome

    def _address_of(self, process: subprocess.Popen[bytes], data: Path) -> str:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            printed = _printed(data).read_text(errors="replace")
            if found := re.search(r"find the broker at ([^;\s]+);", printed):
                return found[1]
            time.sleep(0.005)
        raise RuntimeError(f"no broker: {_end_of(_printed(data))}")

    def _restore(self, system: System, work: Path) -> Outcome:
        """A total for each of a million customers; then the process is another one, on another machine by its empty folder,
        and the time goes from its start to the first new total."""
        group = f"bench-{uuid.uuid4().hex[:6]}"
        url = f"kafka://{self._bootstrap}"
        deadline = time.perf_counter() + TIMEOUT_S
        with job_topics(self._bootstrap) as (source, sink):
            load(self._bootstrap, source, KEYS, customers=KEYS)
            watched = TotalsTopic(self._bootstrap, sink)
            try:
                with self._running(system, url, source, sink, work / "first", group) as process:
                    watched.wait_for_last(KEYS, lambda: process.poll() is None, deadline)
                load(self._bootstrap, source, AGAIN + 1, customers=KEYS, first=AGAIN)
                began = time.time()
                with self._running(system, url, source, sink, work / "second", group) as process:
                    ended = watched.wait_for_last(KEYS + 1, lambda: process.poll() is None, deadline)
                last = watched.read().last["customer-1"]
                return Outcome({"restore_s": ended - began}) if last == 14 else Outcome(note=f"wrong: {last} is not 14")
            finally:
                watched.close()

    def _latency(self, system: System, work: Path) -> Outcome:
        with (
            job_topics(self._bootstrap) as (source, sink),
            self._running(system, f"kafka://{self._bootstrap}", source, sink, work) as process,
        ):
            return self._delays(process, self._bootstrap, source, sink)

    def _embedded_latency(self, system: System, work: Path) -> Outcome:
        data = data_folder(work, 0, {})
        with self._running(system, "embedded://", "orders", "totals", data) as process:
            return self._delays(process, self._address_of(process, data), "orders", "totals")

    def _delays(self, process: subprocess.Popen[bytes], bootstrap: str, source: str, sink: str) -> Outcome:
        load(bootstrap, source, LATENCY_WARM_UP)
        watched = TotalsTopic(bootstrap, sink)
        try:
            deadline = time.perf_counter() + TIMEOUT_S
            watched.wait_for(LATENCY_WARM_UP // 2, lambda: process.poll() is None, deadline)
            sending = multiprocessing.get_context("spawn").Process(
                target=send_steadily, args=(bootstrap, source, PER_SECOND, LATENCY_SETTLE_S + LATENCY_S), daemon=True
            )
            sending.start()
            delays = watched.delays_ms(lambda: not sending.is_alive())
        finally:
            watched.close()
        rest = sorted(delays[int(len(delays) * LATENCY_SETTLE_S / (LATENCY_SETTLE_S + LATENCY_S)) :])
        if len(rest) < PER_SECOND * LATENCY_S / 4:
            return Outcome(note=f"only {len(rest)} totals came in time")
        return Outcome({"p50_ms": rest[len(rest) // 2], "p99_ms": rest[len(rest) * 99 // 100]})

    @contextlib.contextmanager
    def _running(
        self, system: System, broker: str, source: str, sink: str, folder: Path, group: str | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        address = broker if system.script == "orders_mainstem.py" else broker.partition("://")[2]
        group = group or f"bench-{uuid.uuid4().hex[:6]}"
        command = [str(system.python), str(JOBS / system.script), address, source, sink, group, str(folder)]
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with job_process([*command, system.variant], folder, _printed(folder)) as process:
                yield process
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {_end_of(_printed(folder))}") from None


def _printed(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.printed"


def _end_of(path: Path) -> str:
    return path.read_text(errors="replace").strip()[-300:]


def interpreters_missing(systems: list[System]) -> list[str]:
    return sorted({str(one.python) for one in systems if not one.python.exists()} - {sys.executable})
