"""Goes through the cells, round by round, and keeps what each measurement shows."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from alone import measure_alone
from bars import DISK
from cells import ONCE, Cell, Job
from clients import measure_client
from measurements import Measurement, Outcome, Results
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from subjects import BrokerNode, PeerUnavailableError, Topics, folder_bytes, new_broker

LOAD = Path(__file__).resolve().parent / "load.py"
BYTES_MAX_PER_JOB = 2_500_000_000
BYTES_MAX_BEFORE_JOB = 2_500_000_000
JOB_TIMEOUT_S = 120.0
_DELETION_TIMEOUT_S = 30.0
CLIENT_PARTITIONS = 4
_JOB_OVERHEAD_S = 0.8
_FILL_S = 2.0
_CLIENT_S = 15.0
_RESTART_S = 60.0
_GROWN_PER_S = 400
_START_S = {"mainstem": 2.5, "kafka": 13.0, DISK: 1.0}

# A JVM is slow until it has compiled what is hot, a compiler of Python's has nothing to do.
_WARM_UP = tuple(
    Cell(kind="produce", encoding=encoding, **fields)
    for fields in (
        {"in_flight": 100, "connections": 4},
        {"in_flight": 1},
        {"records_per_request": 16, "in_flight": 5, "connections": 4, "acks": -1},
        {"records_per_request": 500, "in_flight": 5},
    )
    for encoding in ("older", "newer")
) + tuple(Cell(kind="fetch", records_per_request=16, encoding=encoding) for encoding in ("older", "newer"))


@dataclass(frozen=True)
class Step:
    """One cell on one broker in one round."""

    cell: Cell
    subject: str
    round_number: int

    def expected_s(self, seconds: float) -> float:
        """About how long it takes, for the time left that is shown."""
        match self.cell.kind:
            case "start" | "fdatasync":
                return _START_S[self.subject]
            case "partitions" | "open connections" | "groups":
                return 3 * _START_S[self.subject] + self.cell.count / _GROWN_PER_S
            case "restart":
                return _RESTART_S
            case "client":
                return _CLIENT_S
            case "fetch":
                return seconds + _FILL_S + _JOB_OVERHEAD_S
        return seconds + _JOB_OVERHEAD_S


class Run:
    """One call of the command."""

    def __init__(self, options: argparse.Namespace, results: Results, console: Console) -> None:
        self._options = options
        self._results = results
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=600,
        )
        self._task = self._progress.add_task("")
        self._started = self._began = self._ends = time.monotonic()
        self._expected_so_far_s = self._afterwards_s = 0.0

    def measure(self, cells: list[Cell]) -> int:
        """Measure what has not been; how many measurements were left out for lack of time."""
        todo = [step for step in self._steps(cells) if not self._has(step)]
        if not todo:
            return 0
        ends = time.monotonic() + 60 * self._options.minutes
        self._progress.update(self._task, total=sum(self._expected_s(step) for step in todo))
        with tempfile.TemporaryDirectory(prefix="bench-", dir=self._options.folder) as folder, self._progress:
            first = [step for step in todo if step.cell.kind in ("start", "fdatasync")]
            last = [step for step in todo if step.cell.kind in ONCE]
            self._alone(first, Path(folder))
            shared = [step for step in todo if step not in first and step not in last]
            if shared:
                self._ends, self._afterwards_s = ends, sum(map(self._expected_s, last))
                self._side_by_side(shared, Path(folder))
            self._alone(last, Path(folder))
        return sum(not self._has(step) for step in todo)

    def _steps(self, cells: list[Cell]) -> list[Step]:
        steps = []
        for round_number in range(self._options.rounds):
            subjects = self._options.brokers[:: -1 if round_number % 2 else 1]
            for cell in cells:
                if cell.kind not in ONCE or round_number == 0:
                    each = [DISK] if cell.kind == "fdatasync" else subjects
                    steps += [Step(cell, subject, round_number) for subject in each]
        return steps

    def _has(self, step: Step) -> bool:
        return self._results.has(step.cell.name, step.subject, step.round_number)

    def _expected_s(self, step: Step) -> float:
        return step.expected_s(self._options.seconds + self._options.warm_up)

    def _fits(self, step: Step) -> bool:
        """Whether the time left is enough for a step and all that comes last, on a machine as slow as it was so far."""
        now = time.monotonic()
        slowness = max(1.0, (now - self._started) / max(1.0, self._expected_so_far_s))
        return now + slowness * (self._expected_s(step) + self._afterwards_s) <= self._ends

    def _show(self, step: Step) -> None:
        self._began = time.monotonic()
        self._progress.update(self._task, description=f"{step.subject} {step.cell.name}")

    def _keep(self, step: Step, outcome: Outcome) -> None:
        self._results.add(
            Measurement(
                cell=step.cell.name,
                subject=step.subject,
                round_number=step.round_number,
                figures=outcome.figures,
                note=outcome.note,
                took_s=round(time.monotonic() - self._began, 2),
            )
        )
        self._expected_so_far_s += self._expected_s(step)
        self._progress.advance(self._task, self._expected_s(step))

    def _alone(self, steps: list[Step], folder: Path) -> None:
        for step in steps:
            self._show(step)
            outcome = measure_alone(step.cell, step.subject, folder, self._options.restart_gigabytes)
            self._keep(step, outcome)

    def _side_by_side(self, steps: list[Step], folder: Path) -> None:
        brokers = {subject: new_broker(subject, folder) for subject in self._options.brokers}
        try:
            for broker in brokers.values():
                broker.start()
            topics = {subject: Topics(broker.bootstrap) for subject, broker in brokers.items()}
            kinds = {step.cell.kind for step in steps}
            if "kafka" in brokers:
                for cell in _WARM_UP:
                    self._progress.update(self._task, description=f"kafka warms up: {cell.name}")
                    if cell.kind in kinds or cell.kind == "produce":
                        self._job(cell, brokers["kafka"], topics["kafka"])
            for step in steps:
                # A first round is never left out, so that every cell has a figure.
                if step.round_number and not self._fits(step):
                    break
                self._show(step)
                work = self._client if step.cell.kind == "client" else self._job
                self._keep(step, work(step.cell, brokers[step.subject], topics[step.subject]))
        finally:
            for broker in brokers.values():
                broker.remove()

    def _job(self, cell: Cell, broker: BrokerNode, topics: Topics) -> Outcome:
        wait_for_space(broker)
        topic = f"bench-{time.monotonic_ns()}"
        topics.create(topic, cell.connections, cell.topic_configs(broker.name))
        job = Job(
            bootstrap=broker.bootstrap,
            broker_pid=broker.pid,
            topic=topic,
            cell=cell,
            warm_up_s=self._options.warm_up,
            seconds=self._options.seconds,
            bytes_max=BYTES_MAX_PER_JOB,
        )
        try:
            figures = generate_load(job)
            topics.delete(topic)
        except Exception as error:
            if not broker.is_running:
                raise RuntimeError(f"{broker.name} died of {cell.name}:\n{broker.printed()}") from error
            raise
        if broker.name == "kafka" and figures.get("in_session") == 0 and cell.encoding == "newer":
            raise RuntimeError(f"Kafka answered {cell.name} outside a fetch session")
        return Outcome(figures)

    def _client(self, cell: Cell, broker: BrokerNode, topics: Topics) -> Outcome:
        wait_for_space(broker)
        topic = f"bench-{time.monotonic_ns()}"
        topics.create(topic, CLIENT_PARTITIONS, {})
        try:
            return Outcome(measure_client(cell.client, broker, topic))
        except PeerUnavailableError as error:
            return Outcome(note=str(error).partition("\n")[0])
        finally:
            topics.delete(topic)


def wait_for_space(broker: BrokerNode) -> None:
    """Wait until the files of deleted topics are gone.

    Raises:
        RuntimeError: they stay.
    """
    ends = time.monotonic() + _DELETION_TIMEOUT_S
    while folder_bytes(broker.folder) > BYTES_MAX_BEFORE_JOB:
        if time.monotonic() > ends:
            raise RuntimeError(f"{broker.name} keeps the files of deleted topics")
        time.sleep(0.1)


def generate_load(job: Job) -> dict[str, float]:
    """Run one job in a process of its own.

    Raises:
        RuntimeError: it failed; the text holds what it printed.
    """
    finished = subprocess.run(
        [sys.executable, str(LOAD)],
        input=json.dumps(job.as_json()),
        capture_output=True,
        text=True,
        timeout=JOB_TIMEOUT_S,
        check=False,
    )
    if finished.returncode != 0:
        raise RuntimeError(f"{job.cell.name} failed:\n{finished.stderr[-3000:]}")
    return json.loads(finished.stdout)
