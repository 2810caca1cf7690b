"""One measurement of a Faust app, which says itself when it is done: only its broker URL differs."""

from __future__ import annotations

import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_folder import data_folder
from job_process import job_process, job_topics
from measurements import Outcome
from orders import ORDERS, PARTITIONS, WARM_UP, load, load_changelog
from subjects import Topics
from systems import FAUST_TABLE, JOBS, System

TIMEOUT_S = 90.0
KEYS = 1_000_000
LOOK_S = 0.002


class FaustBench:
    """`bootstrap` is the Apache Kafka of all apps with a `kafka` URL; `work` a folder of this measurement's own."""

    def __init__(self, bootstrap: str, work: Path) -> None:
        self._bootstrap = bootstrap
        self._work = work

    def measure(self, system: System) -> Outcome:
        """Raises: TimeoutError, RuntimeError, KafkaException."""
        if system.cell == FAUST_TABLE:
            return Outcome({"events_per_s": _keys(system) / self._recovery(system)})
        seconds = self._on_kafka(system) if system.is_on_kafka else self._alone(system)
        return Outcome({"events_per_s": ORDERS / seconds})

    def _on_kafka(self, system: System) -> float:
        """It is stopped when the warm-up is over, and goes on when all orders are there."""
        with job_topics(self._bootstrap) as (source, sink):
            load(self._bootstrap, source, WARM_UP)
            with self._running(system, self._bootstrap, source, sink) as app:
                app.told("warm")
                app.process.send_signal(signal.SIGSTOP)
                load(self._bootstrap, source, WARM_UP + ORDERS, first=WARM_UP)
                began = time.time()
                app.process.send_signal(signal.SIGCONT)
                return app.told("done") - began

    def _alone(self, system: System) -> float:
        """From the end of the warm-up, with all orders there before."""
        address = "bench"
        if system.scheme == "mainstem":
            address = str(data_folder(self._work, WARM_UP + ORDERS, {}))
        with self._running(system, address, "orders", "totals") as app:
            warm = app.told("warm")
            return app.told("done") - warm

    def _recovery(self, system: System) -> float:
        """From when its partitions came."""
        group = f"bench-{uuid.uuid4().hex[:6]}"
        changelog, source = f"{group}-totals-changelog", f"orders-{group}"
        if not system.is_on_kafka:
            data = data_folder(self._work, 0, {}, also=lambda bootstrap: self._fill(bootstrap, changelog, source, KEYS))
            with self._running(system, str(data), source, "totals", group) as app:
                return app.told("done") - app.told("warm")
        self._fill(self._bootstrap, changelog, source, _keys(system))
        try:
            with self._running(system, self._bootstrap, source, "totals", group) as app:
                return app.told("done") - app.told("warm")
        finally:
            for topic in (changelog, source):
                Topics(self._bootstrap).delete(topic)

    def _fill(self, bootstrap: str, changelog: str, source: str, keys: int) -> None:
        topics = Topics(bootstrap)
        topics.create(changelog, PARTITIONS, {"cleanup.policy": "compact"})
        topics.create(source, PARTITIONS, {})
        load_changelog(bootstrap, changelog, keys)

    @contextmanager
    def _running(
        self, system: System, address: str, source: str, sink: str, group: str | None = None
    ) -> Iterator[_App]:
        url = f"{system.scheme}://{address}"
        group, state = group or f"bench-{uuid.uuid4().hex[:6]}", self._work / "state"
        count = _keys(system) if system.cell == FAUST_TABLE else WARM_UP + ORDERS
        arguments = [url, source, sink, group, str(state), system.variant, str(WARM_UP), str(count)]
        printed = self._work / "printed"
        command = [str(system.python), str(JOBS / system.script), *arguments]
        with job_process(command, self._work, printed) as process:
            yield _App(process, printed)


def _keys(system: System) -> int:
    """Faust's own driver would need minutes for all of them."""
    return KEYS // 10 if system.is_peer else KEYS


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
