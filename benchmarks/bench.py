"""Measure mainstem and Apache Kafka 4.1 side by side on this machine: `make bench`, or `bench.py --help`.

Both brokers run for the whole time, each with the settings it has by default, Kafka with the JVM flags of its own
start script. Each measurement is a fresh topic, a few seconds of one kind of work by one load generator process,
and the topic deleted again; the brokers take turns, and who begins changes with the round. What has been measured
is kept in results/measured.json after every step, so that an interrupted run goes on where it was.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import picture
import report
from cells import Cell, Job, Measurement, select_cells
from rich.console import Console
from rich.progress import Progress
from subjects import SUBJECTS, BrokerNode, Topics, new_broker, resident_megabytes

HERE = Path(__file__).resolve().parent
LOAD = HERE / "load.py"
BYTES_MAX_PER_JOB = 2_500_000_000
JOB_TIMEOUT_S = 120.0
START_TIMES = 2
_WIDTH_WITHOUT_TERMINAL = 160

_WARM_UP = (
    Cell(kind="produce", in_flight=100, connections=4),
    Cell(kind="produce", in_flight=1),
    Cell(kind="produce", records_per_request=16, in_flight=5, connections=4, acks=-1),
    Cell(kind="produce", records_per_request=500, in_flight=5),
    Cell(kind="fetch", records_per_request=500),
)


def main() -> int:
    options = parse_options()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_WITHOUT_TERMINAL
    try:
        cells = select_cells(options.cells)
    except ValueError as error:
        console.print(str(error), markup=False)
        return 2
    results = Results(options.results, fresh=options.fresh)
    began = time.monotonic()
    run = Run(options, results, console)
    run.measure(cells)
    console.print(report.table(results.measurements, cells))
    console.print(f"{time.monotonic() - began:.0f} s, kept in {options.results}", markup=False)
    if not options.cells:
        options.picture.write_text(picture.draw(results.measurements))
        console.print(f"picture in {options.picture}", markup=False)
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", action="append", default=[], metavar="PATTERN", help="only cells like this")
    parser.add_argument("--rounds", type=int, default=2, help="measurements per cell and broker (default 2)")
    parser.add_argument("--seconds", type=float, default=2.5, help="length of a measurement (default 2.5)")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds before each measurement")
    parser.add_argument("--brokers", default=",".join(SUBJECTS), help=f"default {','.join(SUBJECTS)}")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run has measured")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "measured.json")
    parser.add_argument("--picture", type=Path, default=HERE / "latest.svg")
    parser.add_argument("--folder", type=Path, default=None, help="where the brokers keep their data")
    options = parser.parse_args()
    options.brokers = [name for name in options.brokers.split(",") if name]
    return options


class Results:
    """What has been measured, kept in a file after every measurement."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self._path = path
        self.measurements: list[Measurement] = []
        if path.exists() and not fresh:
            kept = json.loads(path.read_text())
            self.measurements = [Measurement(**each) for each in kept["measurements"]]

    def has(self, cell: str, subject: str, round_number: int) -> bool:
        wanted = (cell, subject, round_number)
        return any((each.cell, each.subject, each.round_number) == wanted for each in self.measurements)

    def add(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
        kept = {"machine": machine, "measurements": [asdict(each) for each in self.measurements]}
        written = self._path.with_suffix(".written")
        written.write_text(json.dumps(kept, indent=1))
        written.replace(self._path)


class Run:
    """Goes through the cells, round by round."""

    def __init__(self, options: argparse.Namespace, results: Results, console: Console) -> None:
        self._options = options
        self._results = results
        self._console = console

    def measure(self, cells: list[Cell]) -> None:
        todo = [step for step in self._steps(cells) if not self._results.has(step[0].name, step[1], step[2])]
        with tempfile.TemporaryDirectory(prefix="bench-", dir=self._options.folder) as folder:
            starts = [step for step in todo if step[0].kind == "start"]
            for cell, subject, round_number in starts:
                self._results.add(self._start(cell, subject, round_number, Path(folder)))
            work = [step for step in todo if step[0].kind != "start"]
            if work:
                self._work(work, Path(folder))

    def _steps(self, cells: list[Cell]) -> list[tuple[Cell, str, int]]:
        steps = []
        for round_number in range(self._options.rounds):
            subjects = self._options.brokers[:: -1 if round_number % 2 else 1]
            steps += [(cell, subject, round_number) for cell in cells for subject in subjects]
        return steps

    def _start(self, cell: Cell, subject: str, round_number: int, folder: Path) -> Measurement:
        """Start a broker a few times; the quickest start and the memory it then holds."""
        seconds, megabytes = [], []
        for _ in range(START_TIMES):
            with new_broker(subject, folder) as broker:
                seconds.append(broker.seconds_to_answer)
                # Long enough for what a broker does after it has answered for the first time.
                time.sleep(1.0)
                megabytes.append(resident_megabytes(broker.pid))
        figures = {"start_s": min(seconds), "idle_megabytes": min(megabytes)}
        return Measurement(cell=cell.name, subject=subject, round_number=round_number, figures=figures)

    def _work(self, steps: list[tuple[Cell, str, int]], folder: Path) -> None:
        brokers = {subject: new_broker(subject, folder) for subject in self._options.brokers}
        try:
            for broker in brokers.values():
                broker.start()
            topics = {subject: Topics(broker.bootstrap) for subject, broker in brokers.items()}
            for subject, broker in brokers.items():
                # A JVM is slow until it has compiled what is hot: its first seconds are not counted.
                for cell in _WARM_UP:
                    self._job(cell, subject, broker, topics[subject])
            with Progress(console=self._console) as progress:
                task = progress.add_task("", total=len(steps))
                for cell, subject, round_number in steps:
                    progress.update(task, description=f"{subject} {cell.name}")
                    figures = self._job(cell, subject, brokers[subject], topics[subject])
                    self._results.add(
                        Measurement(cell=cell.name, subject=subject, round_number=round_number, figures=figures)
                    )
                    progress.advance(task)
        finally:
            for broker in brokers.values():
                broker.remove()

    def _job(self, cell: Cell, subject: str, broker: BrokerNode, topics: Topics) -> dict[str, float]:
        topic = f"bench-{time.monotonic_ns()}"
        topics.create(topic, cell.connections, cell.topic_configs(subject))
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
                raise RuntimeError(f"{subject} died of {cell.name}:\n{broker.printed()}") from error
            raise
        return figures


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


if __name__ == "__main__":
    sys.exit(main())
