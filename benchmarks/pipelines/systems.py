"""What is measured: each system as its users start it, with the guarantees that the label says, and the bar of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

JOBS = Path(__file__).resolve().parent / "jobs"
REPOSITORY = JOBS.parents[2]
PEERS = REPOSITORY / ".venv-peers" / "bin" / "python"
OWN = REPOSITORY / ".venv" / "bin" / "python"

THROUGHPUT, WINDOWS, LATENCY, RESTORE = "orders", "windows", "latency", "restore"
LESS_IS_BETTER = {LATENCY, RESTORE}
FAUST_JOB, FAUST_NOTHING, FAUST_TABLE = "faust", "faust nothing", "faust table"
FAUST_VARIANTS = {FAUST_JOB: "job", FAUST_NOTHING: "nothing", FAUST_TABLE: "table"}


@dataclass(frozen=True, kw_only=True)
class System:
    """`bar` is what mainstem must reach: events/s, for latency p99 in ms, for the restore seconds; `times`: as many times what
    the first system of the cell does. `script` is in jobs/. `scheme` is that of a Faust app's broker URL."""

    name: str
    cell: str
    label: str
    script: str
    variant: str = "memory"
    is_peer: bool = False
    is_embedded: bool = False
    bar: float | None = None
    times: float | None = None
    scheme: str = "kafka"

    @property
    def is_on_kafka(self) -> bool:
        return self.scheme.endswith("kafka")

    @property
    def python(self) -> Path:
        return PEERS if self.is_peer else OWN


def _system(name: str, label: str, variant: str = "memory", cell: str = THROUGHPUT, bar: float | None = None) -> System:
    family = name.partition(" ")[0]
    return System(
        name=name,
        cell=cell,
        label=label,
        script=f"orders_{family}.py",
        variant=variant,
        is_peer=family in ("quix", "bytewax", "faust"),
        is_embedded="embedded" in name,
        bar=bar,
    )


def _faust(cell: str, scheme: str, label: str, *, bar: float | None = None, times: float | None = None) -> System:
    is_peer = scheme == "kafka"
    return System(
        name=f"{'' if is_peer else 'mainstem '}{cell} {scheme}",
        cell=cell,
        label=label,
        script="app_faust.py",
        variant=FAUST_VARIANTS[cell],
        is_peer=is_peer,
        bar=bar,
        times=times,
        scheme=scheme,
    )


SYSTEMS = [
    _system("mainstem", "mainstem, totals in a dict of the script", bar=100_000),
    _system("bare", "a bare confluent-kafka loop"),
    _system("bytewax", "Bytewax"),
    _system("quix", "Quix Streams"),
    _system("faust", "Faust, aiokafka, with changelog"),
    _system("mainstem changelog", "mainstem, state with changelog", "changelog", bar=60_000),
    _system("quix changelog", "Quix Streams, state with changelog", "changelog"),
    _system("mainstem exactly-once", "mainstem, exactly-once", "exactly-once", bar=60_000),
    _system("quix exactly-once", "Quix Streams, exactly-once", "exactly-once"),
    _system("mainstem embedded", "mainstem on its embedded broker", bar=200_000),
    _system("mainstem windows", "mainstem, exactly one result per window", "windows", cell=WINDOWS, bar=80_000),
    _system("mainstem p99", "mainstem", cell=LATENCY, bar=20),
    _system("mainstem changelog p99", "mainstem, state with changelog", "changelog", cell=LATENCY, bar=20),
    _system("mainstem exactly-once p99", "mainstem, exactly-once, a commit every 100 ms", "exactly-once", cell=LATENCY),
    _system("mainstem embedded p99", "mainstem on its embedded broker", cell=LATENCY, bar=20),
    _system("bare p99", "a bare confluent-kafka loop", cell=LATENCY),
    _system("quix p99", "Quix Streams", cell=LATENCY),
    _system("mainstem restore", "mainstem, from its changelog", "changelog", cell=RESTORE, bar=10),
    _faust(FAUST_JOB, "kafka", "Faust on its aiokafka driver"),
    _faust(FAUST_JOB, "mainstem+kafka", "the same app on mainstem+kafka://", times=4),
    _faust(FAUST_JOB, "mainstem", "the same app on mainstem:// (embedded)", times=5),
    _faust(FAUST_JOB, "memory", "the same app on memory://", bar=20_000, times=6),
    _faust(FAUST_NOTHING, "kafka", "Faust on its aiokafka driver"),
    _faust(FAUST_NOTHING, "mainstem+kafka", "the same app on mainstem+kafka://", times=5),
    _faust(FAUST_NOTHING, "mainstem", "the same app on mainstem:// (embedded)", times=8),
    _faust(FAUST_NOTHING, "memory", "the same app on memory://", bar=100_000, times=10),
    _faust(FAUST_TABLE, "kafka", "Faust on its aiokafka driver (100,000 keys)"),
    _faust(FAUST_TABLE, "mainstem+kafka", "the same app on mainstem+kafka://", bar=100_000),
    _faust(FAUST_TABLE, "mainstem", "the same app on mainstem:// (embedded)", bar=100_000),
]
