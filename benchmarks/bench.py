"""Measure mainstem and Apache Kafka 4.1 side by side on this machine: `make bench`, or `bench.py --help`.

Both brokers run for the whole time, each with the settings it has by default, Kafka with the JVM flags of its own
start script. Each measurement is a fresh topic, a few seconds of one kind of work by one load generator process,
and the topic deleted again; the brokers take turns, and who begins changes with the round. What has been measured
is kept in results/measured.json after every step, so that an interrupted run goes on where it was.

A quick look:  bench.py --cells produce/1x1kB --brokers mainstem --rounds 1 --fresh --results look.json
"""

import argparse
import os
import platform
import signal
import sys
import time
from pathlib import Path

import picture
import report
from bars import DISK
from cells import Cell, select_cells
from measurements import Results, current_commit
from rich.console import Console
from run import Run
from subjects import SUBJECTS

HERE = Path(__file__).resolve().parent
_WIDTH_WITHOUT_TERMINAL = 200
_ROUNDS, _ROUNDS_FULL = 3, 1


def main() -> int:
    options = parse_options()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_WITHOUT_TERMINAL
    try:
        cells = select_cells(options.cells, full=options.full)
    except ValueError as error:
        console.print(str(error), markup=False)
        return 2
    results = Results(options.results)
    if options.fresh:
        results.forget({cell.name for cell in cells}, {*options.brokers, DISK})
    if results.other_commits:
        console.print(
            f"[yellow]kept results of mainstem are from {', '.join(results.other_commits)}, this is {current_commit()}: "
            "--fresh forgets them[/yellow]"
        )
    # The brokers are ended and their folders removed also when somebody ends this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    left = Run(options, results, console).measure(cells)
    if left:
        console.print(f"[yellow]{left} measurements did not fit into {options.minutes:g} minutes: call again[/yellow]")
    write(options, results, cells, console)
    console.print(f"{time.monotonic() - began:.0f} s, kept in {options.results}", markup=False)
    return 0


def write(options: argparse.Namespace, results: Results, cells: list[Cell], console: Console) -> None:
    """Show the table; keep it and the picture as files when all cells were asked for."""
    console.print(report.table(results.measurements, cells))
    passed, missed = report.verdicts(results.measurements, cells)
    console.print(f"{passed} bars passed, {len(missed)} missed", markup=False)
    for each in missed:
        console.print(f"  {each}", markup=False)
    if not options.cells:
        about = [
            f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
            f"mainstem {', '.join(results.commits)}.",
            f"{passed} bars passed, {len(missed)} missed.",
        ]
        options.picture.write_text(picture.draw(results.measurements))
        options.picture.with_suffix(".md").write_text(report.markdown(results.measurements, cells, about))
        console.print(f"picture in {options.picture}, the table beside it", markup=False)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", action="append", default=[], metavar="PATTERN", help="only cells like this")
    parser.add_argument("--full", action="store_true", help="the whole matrix of raw cells, one round by default")
    parser.add_argument("--rounds", type=int, default=None, help="measurements per cell and broker (default 3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a measurement (default 2)")
    parser.add_argument("--warm-up", type=float, default=0.4, help="seconds before each measurement")
    parser.add_argument("--minutes", type=float, default=30, help="rounds are left out beyond these (default 30)")
    parser.add_argument("--brokers", default=",".join(SUBJECTS), help=f"default {','.join(SUBJECTS)}")
    parser.add_argument("--fresh", action="store_true", help="measure the selected cells anew")
    parser.add_argument(
        "--restart-gigabytes", type=float, default=6.0, help="log to start on (default 6: 8 are allowed)"
    )
    parser.add_argument("--results", type=Path, default=HERE / "results" / "measured.json")
    parser.add_argument("--picture", type=Path, default=HERE / "latest.svg")
    parser.add_argument("--folder", type=Path, default=None, help="where the brokers keep their data")
    options = parser.parse_args()
    options.brokers = [name for name in options.brokers.split(",") if name]
    unknown = set(options.brokers) - set(SUBJECTS)
    if unknown:
        parser.error(f"--brokers {','.join(unknown)}: there are {', '.join(SUBJECTS)}")
    if options.rounds is None:
        options.rounds = _ROUNDS_FULL if options.full else _ROUNDS
    return options


if __name__ == "__main__":
    sys.exit(main())
