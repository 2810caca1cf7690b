"""What is measured: one cell is one kind of work; a job is one cell on one broker for a few seconds."""

from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from typing import Literal

KILOBYTE = 1_000
MEBIBYTE = 1 << 20

Kind = Literal["produce", "fetch", "end-to-end", "start"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A kind of work. `acks` is what the producer asks for: 1, or -1 for all."""

    kind: Kind
    records_per_request: int = 1
    in_flight: int = 1
    connections: int = 1
    acks: int = 1
    sync: Literal["default", "both", "neither"] = "default"
    """Which brokers write to the disk itself before they acknowledge: as each does by default, both, or neither."""

    @property
    def name(self) -> str:
        acks = "all" if self.acks == -1 else f"{self.acks}"
        sync = {"default": "", "both": "/synced", "neither": "/unsynced"}[self.sync]
        match self.kind:
            case "produce":
                shape = f"{self.records_per_request}x1kB/inflight={self.in_flight}"
                return f"produce/{shape}/connections={self.connections}/acks={acks}{sync}"
            case "fetch":
                return f"fetch/1MiB/connections={self.connections}"
            case "end-to-end":
                return f"end-to-end/1000 records per s/acks={acks}{sync}"
            case "start":
                return "start"

    def topic_configs(self, subject: str) -> dict[str, str]:
        """The configs the topic of this cell needs on a broker to have the wanted durability."""
        if self.sync == "both" and subject == "kafka":
            return {"flush.messages": "1"}
        if self.sync == "neither" and subject == "mainstem":
            return {"flush.policy": "none"}
        return {}


def all_cells() -> list[Cell]:
    """Every cell, in the order of the report."""
    shapes = product((1, 16, 500), (1, 4), (1, 5, 100), (1, -1))
    cells = [Cell(kind="start")]
    cells += [
        Cell(kind="produce", records_per_request=records, connections=connections, in_flight=in_flight, acks=acks)
        for records, connections, in_flight, acks in shapes
    ]
    for sync in ("both", "neither"):
        cells.append(Cell(kind="produce", records_per_request=16, in_flight=5, connections=4, acks=-1, sync=sync))
        cells.append(Cell(kind="produce", in_flight=1, acks=-1, sync=sync))
    cells += [Cell(kind="fetch", records_per_request=500, connections=each) for each in (1, 4)]
    cells += [Cell(kind="end-to-end", acks=acks) for acks in (1, -1)]
    cells.append(Cell(kind="end-to-end", acks=-1, sync="neither"))
    return cells


def select_cells(patterns: list[str]) -> list[Cell]:
    """The cells whose name matches one of the patterns (`*` and `?`), or contains it; all without patterns.

    Raises:
        ValueError: a pattern selects nothing.
    """
    cells = all_cells()
    for pattern in patterns:
        if not any(_selects(pattern, cell) for cell in cells):
            names = "\n  ".join(cell.name for cell in cells)
            raise ValueError(f"--cells {pattern} selects nothing; there are:\n  {names}")
    return [cell for cell in cells if not patterns or any(_selects(pattern, cell) for pattern in patterns)]


def _selects(pattern: str, cell: Cell) -> bool:
    return pattern in cell.name or fnmatchcase(cell.name, pattern)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the load generator is told to do."""

    bootstrap: str
    broker_pid: int
    topic: str
    cell: Cell
    warm_up_s: float
    seconds: float
    bytes_max: int
    """The generator stops early when it has written so much, to spare the disk."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict) -> "Job":
        return cls(**{**value, "cell": Cell(**value["cell"])})


@dataclass(kw_only=True)
class Measurement:
    """One job's outcome, or what starting a broker showed."""

    cell: str
    subject: str
    round_number: int
    figures: dict[str, float] = field(default_factory=dict)
    """By name with its unit: requests_per_s, megabytes_per_s, p50_ms, p99_ms, broker_cores, generator_cores, ..."""
