"""Measure pipelines beside Quix Streams, Bytewax and Faust on one Apache Kafka 4.1: `make bench-pipelines`, or `--help`.

Every system does the same job on the same topics: 200,000 JSON orders, keep the paid half, add them up by customer, write
each total to a topic. It works through 20,000 orders first, which do not count, and is stopped (SIGSTOP) while the others
are loaded; the time begins when it goes on and ends when the last total is visible. The totals are then read and compared.
Systems take turns, and each round begins with another one. What has been measured is kept after each step, so that an
interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import table  # noqa: E402
from measure import Bench, interpreters_missing  # noqa: E402
from measurements import Measurement, Results  # noqa: E402
from subjects import new_broker  # noqa: E402
from systems import SYSTEMS, System  # noqa: E402


def main() -> int:
    options = parse_options()
    chosen = [one for one in SYSTEMS if not options.only or any(fnmatch(one.name, each) for each in options.only)]
    if missing := interpreters_missing(chosen):
        print(f"there is no {', '.join(missing)}: make bench-pipelines makes it")
        return 2
    results = Results(options.results)
    if options.fresh:
        for one in chosen:
            results.forget({one.cell}, {one.name})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if left := measure(options, results, chosen):
        print(f"{left} measurements did not fit into {options.minutes:g} minutes: call again")
    about = (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"mainstem {', '.join(sorted({each.commit for each in results.measurements}))}."
    )
    text = table.markdown(results.measurements, about)
    print(text)
    if not options.only:
        options.picture.write_text(table.draw(results.measurements))
        options.picture.with_suffix(".md").write_text(text)
    return 0


def measure(options: argparse.Namespace, results: Results, chosen: list[System]) -> int:
    """How many were left out because the time was over."""
    work: list[tuple[int, System]] = []
    for number in range(options.rounds):
        turn = number * len(chosen) // max(options.rounds, 1)
        turned = chosen[turn:] + chosen[:turn]
        work += [(number, system) for system in turned if not results.has(system.cell, system.name, number)]
    if not work:
        return 0
    until = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="bench-pipelines-", dir=options.folder) as name:
        folder = Path(name)
        with new_broker("kafka", folder) as broker:
            bench = Bench(broker.bootstrap, folder)
            # A broker that has just started is slower than it will be, above all at many small requests: these are nobody's.
            for name in ("bare", "bare p99", "bare p99", "bare p99"):
                bench.measure(next(one for one in SYSTEMS if one.name == name))
            for done, (number, system) in enumerate(work):
                if time.monotonic() > until:
                    return len(work) - done
                began = time.monotonic()
                outcome = bench.measure(system)
                took_s = time.monotonic() - began
                results.add(
                    Measurement(
                        cell=system.cell, subject=system.name, round_number=number, took_s=took_s,
                        figures=outcome.figures, note=outcome.note,
                    )
                )  # fmt: skip
                figures = ", ".join(f"{name} {value:,.1f}" for name, value in outcome.figures.items())
                print(f"{number + 1}  {system.cell:<13} {system.name:<32} {figures}{outcome.note}", flush=True)
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN", help="systems with names like this")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default 3)")
    parser.add_argument("--minutes", type=float, default=28, help="nothing begins after these (default 28)")
    parser.add_argument("--fresh", action="store_true", help="measure them anew")
    parser.add_argument("--folder", type=Path, default=None, help="where the broker keeps its data (about 300 MB)")
    parser.add_argument("--results", type=Path, default=HERE.parent / "results" / "pipelines.json")
    parser.add_argument("--picture", type=Path, default=HERE.parent / "latest-pipelines.svg")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
