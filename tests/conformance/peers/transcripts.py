"""The same command lines given to Apache Kafka's tools and to ours, on the same brokers, and what came of it made comparable."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from peers.tools import Finished, run_tool

JAVA, OURS = "qjv", "qms"
"""Who runs a tool. Names of topics and groups end in it, so that nobody meets what the other has changed."""
_TIMEOUT_S = 90.0
FIRST_MS = time.time_ns() // 1_000_000 - 3_600_000
"""The time of the first record: an hour ago, so that no retention takes it."""
STEP_MS = 1_000
MIDDLE_MS = FIRST_MS + 5 * STEP_MS + STEP_MS // 2
"""Between the sixth record and the seventh."""
_MIDDLE_TIME = datetime.fromtimestamp(MIDDLE_MS / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{MIDDLE_MS % 1000:03}"
_AT_THE_END = ("kafka-cluster",)
_WITHOUT_BOOTSTRAP = ("kafka-producer-perf-test", "kafka-storage")


@dataclass(frozen=True)
class Step:
    """A command line with `{who}` for its runner, `{bootstrap}`, `{folder}` for files, `{middle_ms}` and `{middle_time}`.

    `is_sorted`: the order of lines is left to chance by Kafka's tool. `says`: what must be in the output or on standard
    error of each. `compares`: whether standard output must be the same, on the same broker and on the other. `needs`: the
    key of a request without which a broker cannot be asked this. `is_measured`: its numbers are those of a measurement.
    """

    line: str
    stdin: str | None = None
    is_sorted: bool = False
    says: str = ""
    compares: bool = True
    compares_brokers: bool = True
    needs: int | None = None
    is_measured: bool = False

    def words(self, who: str, bootstrap: str, folder: Path) -> list[str]:
        return [
            word.replace("{who}", who)
            .replace("{bootstrap}", bootstrap)
            .replace("{folder}", str(folder))
            .replace("{middle_ms}", str(MIDDLE_MS))
            .replace("{middle_time}", _MIDDLE_TIME)
            for word in self.line.split(" ")
        ]


def run_step(step: Step, who: str, bootstrap: str, folder: Path) -> Finished:
    """Run one step by one of the two."""
    tool, *arguments = step.words(who, bootstrap, folder)
    where = ["--bootstrap-server", bootstrap]
    if tool in _AT_THE_END:
        arguments = [*arguments, *where]
    elif tool not in _WITHOUT_BOOTSTRAP:
        arguments = [*where, *arguments]
    stdin = step.stdin.replace("{who}", who) if step.stdin is not None else None
    if who == JAVA:
        return run_tool(tool, arguments, stdin=stdin, timeout_s=_TIMEOUT_S)
    done = subprocess.run(
        [sys.executable, "-m", "mainstem.cli.main", f"{tool}.sh", *arguments],
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return Finished(" ".join([tool, *arguments]), done.returncode, done.stdout, done.stderr)


_CHANCE = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "U" * 36),
    (re.compile(r"(Reading payloads from: ).*/"), r"\1FOLDER/"),
    (re.compile(r"(TopicId: )\S{22}"), r"\1ID"),
    (re.compile(r"(Cluster ID: )\S{22}"), r"\1ID"),
    (re.compile(r"\b1[78]\d{11}\b"), "T" * 13),
    (re.compile(r'("size":)\d+'), r"\1N"),
    (re.compile(r'("logDir":)"[^"]*"'), r'\1"DIR"'),
    (re.compile(r"(\tEpoch: )\d+"), r"\1N"),
    (re.compile(r'("avg_throughput":)[\d.E-]+'), r"\1N"),
    (re.compile(r"(?<=\s)[A-Za-z0-9+/_-]{22}(?=\s)"), "M" * 22),
    (re.compile(r"(T{13}\s+\t)\d+\s+(\t\S+-\d)"), r"\1N\2"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}"), "DATE"),
    (re.compile(r"\b\d+\.\d+\b(?= |,|\)|$)"), "X"),
)


def normalised(text: str, step: Step, who: str, bootstrap: str) -> list[str]:
    """Lines without what time, chance, the runner and the port put into them; those about the other runner are left out."""
    other = OURS if who == JAVA else JAVA
    port = bootstrap.rpartition(":")[2]
    lines: list[str] = []
    producer_column: int | None = None
    for line in text.replace(bootstrap, "HOST:PORT").replace(who, "who").splitlines():
        if other in line:
            continue
        for pattern, instead in _CHANCE:
            line = pattern.sub(instead, line)
        cells = [cell.strip() for cell in line.split("\t")]
        if "ProducerId" in cells:
            producer_column = cells.index("ProducerId")
        elif producer_column is not None:
            # A broker gives out producer ids in the order in which it is asked for them.
            cells[producer_column] = "P"
            line = "\t".join(cells)
        if line.startswith('{"brokers":'):
            line = _with_partitions_in_order(line)
        lines.append(re.sub(rf"\b{port}\b", "PORT ", line))
    if step.is_measured:
        lines = [re.sub(r"(?<![\w.])\d+(?:\.\d+)?", "N", line) for line in lines]
    return sorted(lines) if step.is_sorted else lines


def _with_partitions_in_order(line: str) -> str:
    """Of what a log directory holds; a broker names it in the order of a hash table."""
    document = json.loads(line.replace('"size":N', '"size":0'))
    for broker in document["brokers"]:
        for log_dir in broker["logDirs"]:
            log_dir["partitions"].sort(key=lambda each: each["partition"])
    return json.dumps(document)


def without_spacing(lines: Sequence[str]) -> list[str]:
    """For two brokers, whose addresses and names give columns other widths."""
    return [re.sub(r" +", " ", line).strip(" ") for line in lines]
