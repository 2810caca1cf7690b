"""Minutes at full load on a topic that is deleted as fast as it is written: `make soak`, or `soak.py --help`.

Four connections produce a record a request, 100 in flight each, with sequences; one for each partition reads what
they write, in a fetch session. Retention keeps 1 GiB and looks every 5 s; segments roll every few seconds.
The topic is filled before, so that old records are deleted from the beginning on.
Passed when the memory of the broker at the end is at most 5 % above what it was after the first two minutes.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cells import MEBIBYTE
from measurements import median
from processes import open_files, resident_megabytes
from restart import PARTITIONS, fill
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from subjects import SUBJECTS, BrokerNode, Topics, folder_bytes, new_broker

HERE = Path(__file__).resolve().parent
GROWTH_MAX = 0.05
_RETENTION_BYTES = 1_024 * MEBIBYTE
_SEGMENT_BYTES = 32 * MEBIBYTE
_SAMPLE_S = 2.0
_WINDOW_S = 30.0
_SETTLES_AFTER_S = 120.0
_SETTLES_AFTER_SHARE = 0.2
_LINES = 20
_TOPIC = "soaked"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--broker", choices=SUBJECTS, default="mainstem")
    parser.add_argument("--folder", type=Path, default=None, help="where the broker keeps its data")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(highlight=False)
    seconds = 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="soak-", dir=options.folder) as folder:
        overrides = {"log.retention.check.interval.ms": "5000"}
        with new_broker(options.broker, Path(folder), overrides) as broker:
            samples, load = soak(broker, seconds, console)
    console.print(table(samples, seconds))
    for name, value in load.items():
        console.print(f"{name}: {value:,.0f}", markup=False)
    before, after = settled(samples, seconds)
    growth = after / before - 1
    passed = growth <= GROWTH_MAX
    console.print(
        f"resident {before:.1f} MB when settled, {after:.1f} MB at the end: {growth:+.1%} (at most {GROWTH_MAX:+.0%}) "
        f"[{'green' if passed else 'bold red'}]{'pass' if passed else 'MISS'}[/]"
    )
    return 0 if passed else 1


class Sample:
    """The broker at one moment."""

    def __init__(self, broker: BrokerNode, began: float) -> None:
        self.at_s = time.monotonic() - began
        self.resident_megabytes = resident_megabytes(broker.pid)
        self.open_files = open_files(broker.pid)
        self.log_megabytes = folder_bytes(broker.log_dir) / 1e6


def soak(broker: BrokerNode, seconds: float, console: Console) -> tuple[list[Sample], dict[str, float]]:
    """Load the broker in another process and look at it meanwhile."""
    configs = {
        "retention.bytes": str(_RETENTION_BYTES // PARTITIONS),
        "segment.bytes": str(_SEGMENT_BYTES),
        "file.delete.delay.ms": "0",
    }
    Topics(broker.bootstrap).create(_TOPIC, PARTITIONS, configs)
    fill(broker, _TOPIC, _RETENTION_BYTES / 1e9)
    job = {"bootstrap": broker.bootstrap, "broker_pid": broker.pid, "topic": _TOPIC, "seconds": seconds}
    command = [sys.executable, str(HERE / "load_soak.py"), json.dumps(job)]
    samples: list[Sample] = []
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator, Progress(console=console) as shown:
        task = shown.add_task("", total=seconds)
        try:
            while generator.poll() is None and time.monotonic() - began < seconds + _WINDOW_S:
                samples.append(Sample(broker, began))
                now = samples[-1]
                text = f"resident {now.resident_megabytes:.1f} MB, log {now.log_megabytes:,.0f} MB"
                shown.update(task, completed=now.at_s, description=text)
                time.sleep(_SAMPLE_S)
        finally:
            generator.terminate()
        printed = generator.stdout.read() if generator.stdout else ""
    if generator.returncode != 0:
        raise RuntimeError(f"the load ended with {generator.returncode}; the broker printed\n{broker.printed()}")
    return [each for each in samples if each.at_s <= seconds], json.loads(printed)


def settled(samples: list[Sample], seconds: float) -> tuple[float, float]:
    """Resident megabytes around the second minute, or a fifth of a shorter time, and at the end; medians of a window."""
    window = min(_WINDOW_S, seconds * _SETTLES_AFTER_SHARE)
    settles = min(_SETTLES_AFTER_S, seconds * _SETTLES_AFTER_SHARE)
    before = [each.resident_megabytes for each in samples if settles <= each.at_s <= settles + window]
    after = [each.resident_megabytes for each in samples if each.at_s >= seconds - window]
    return median(before), median(after)


def table(samples: list[Sample], seconds: float) -> Table:
    """About twenty lines, each the last sample of its share of the time."""
    shown = Table(title="a broker at full load")
    for column in ("minute", "resident MB", "open files", "log MB"):
        shown.add_column(column, justify="right")
    step, next_at = seconds / _LINES, 0.0
    for sample in samples:
        if sample.at_s >= next_at:
            shown.add_row(
                f"{sample.at_s / 60:.1f}",
                f"{sample.resident_megabytes:.1f}",
                f"{sample.open_files}",
                f"{sample.log_megabytes:,.0f}",
            )
            next_at += step
    return shown


if __name__ == "__main__":
    sys.exit(main())
