"""One measurement of a Faust app, which says itself when it is done: only its broker URL differs."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from data_folder import data_folder
from measurements import Outcome
from orders import ORDERS, PARTITIONS, WARM_UP, load, load_changelog
from subjects import Topics
from systems import FAUST_TABLE, JOBS, System

TIMEOUT_S = 90.0
KEYS = 1_000_000
END_S = 15.0
LOOK_S = 0.002


class FaustBench:
    """`bootstrap` is the Apache Kafka of all apps with a `kafka` URL."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self._bootstrap = bootstrap
        self._folder = folder

    def measure(self, system: System) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="faust-", dir=self._folder) as work:
            try:
                if system.cell == FAUST_TABLE:
                    return Outcome({"events_per_s": KEYS / self._recovery(system, Path(work))})
                seconds = self._on_kafka(system, Path(work)) if system.is_on_kafka else self._alone(system, Path(work))
            except (TimeoutError, RuntimeError, KafkaException) as error:
                return Outcome(note=str(error))
        return Outcome({"events_per_s": ORDERS / seconds})

    def _on_kafka(self, system: System, work: Path) -> float:
        """It is stopped when the warm-up is over, and goes on when all orders are there."""
        topics = Topics(self._bootstrap)
        source, sink = f"orders-{uuid.uuid4().hex[:6]}", f"totals-{uuid.uuid4().hex[:6]}"
        for topic in (source, sink):
            topics.create(topic, PARTITIONS, {})
        try:
            load(self._bootstrap, source, WARM_UP)
            with self._running(system, self._bootstrap, source, sink, work) as app:
                app.told("warm")
                app.process.send_signal(signal.SIGSTOP)
                load(self._bootstrap, source, WARM_UP + ORDERS, first=WARM_UP)
                began = time.time()
                app.process.send_signal(signal.SIGCONT)
                return app.told("done") - began
        finally:
            for topic in (source, sink):
                topics.delete(topic)

    def _alone(self, system: System, work: Path) -> float:
        """From the end of the warm-up, with all orders there before."""
        address = "bench"
        if system.scheme == "mainstem":
            address = str(data_folder(work, WARM_UP + ORDERS, {}))
        with self._running(system, address, "orders", "totals", work) as app:
            warm = app.told("warm")
            return app.told("done") - warm

    def _recovery(self, system: System, work: Path) -> float:
        """From when its partitions came."""
        group = f"bench-{uuid.uuid4().hex[:6]}"
        changelog, source = f"{group}-totals-changelog", f"orders-{group}"
        if not system.is_on_kafka:
            data = data_folder(work, 0, {}, also=lambda bootstrap: self._fill(bootstrap, changelog, source))
            with self._running(system, str(data), source, "totals", work, group) as app:
                return app.told("done") - app.told("warm")
        self._fill(self._bootstrap, changelog, source)
        try:
            with self._running(system, self._bootstrap, source, "totals", work, group) as app:
                return app.told("done") - app.told("warm")
        finally:
            for topic in (changelog, source):
                Topics(self._bootstrap).delete(topic)

    def _fill(self, bootstrap: str, changelog: str, source: str) -> None:
        topics = Topics(bootstrap)
        topics.create(changelog, PARTITIONS, {"cleanup.policy": "compact"})
        topics.create(source, PARTITIONS, {})
        load_changelog(bootstrap, changelog, KEYS)

    @contextmanager
    def _running(
        self, system: System, address: str, source: str, sink: str, work: Path, group: str | None = None
    ) -> Iterator[_App]:
        url = f"{system.scheme}://{address}"
        group, state = group or f"bench-{uuid.uuid4().hex[:6]}", work / "state"
        count = KEYS if system.cell == FAUST_TABLE else WARM_UP + ORDERS
        arguments = [url, source, sink, group, str(state), system.variant, str(WARM_UP), str(count)]
        printed = work / "printed"
        with printed.open("wb") as out:
            process = subprocess.Popen(
                [str(system.python), str(JOBS / system.script), *arguments], stdout=out, stderr=out, cwd=work
            )
        try:
            yield _App(process, printed)
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _App:
    def __init__(self, process: subprocess.Popen[bytes], printed: Path) -> None:
        self.process = process
        self._printed = printed

    def told(self, word: str) -> float:
        """The time that it said with this word. Raises: TimeoutError, RuntimeError."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            text = self._printed.read_text(errors="replace")
            found = re.search(rf"{word} ([0-9.]+)\n", text)  # among what Faust paints
            if found is not None:
                return float(found[1])
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended by itself: {text.strip()[-300:]}")
            time.sleep(LOOK_S)
        raise TimeoutError(
            f"not {word} after {TIMEOUT_S:g} s: {self._printed.read_text(errors='replace').strip()[-300:]}"
        )
