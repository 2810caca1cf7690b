"""What is measured: one cell is one kind of work; a job is one raw cell on one broker for a few seconds."""

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import Literal

KILOBYTE = 1_000
KIBIBYTE = 1 << 10
MEBIBYTE = 1 << 20
IN_FLIGHT_BYTES_MAX = 256 * MEBIBYTE

Kind = Literal[
    "produce",
    "fetch",
    "end-to-end",
    "client",
    "start",
    "fdatasync",
    "partitions",
    "open connections",
    "groups",
    "restart",
]
ONCE: tuple[Kind, ...] = ("partitions", "open connections", "groups", "restart")
"""Measured in one round only: they take long, and vary little."""
TRANSACTIONS: Literal["confluent-kafka transactions"] = "confluent-kafka transactions"
Encoding = Literal["older", "newer"]
"""Older: Produce 7 and Fetch 11. Newer: Produce 13 with a producer id and sequences, Fetch 18 in a session; topic ids."""

PRODUCE_VERSIONS: dict[Encoding, int] = {"older": 7, "newer": 13}
FETCH_VERSIONS: dict[Encoding, int] = {"older": 11, "newer": 18}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A kind of work. `acks` is what the producer asks for: 0, 1, or -1 for all."""

    kind: Kind
    records_per_request: int = 1
    in_flight: int = 1
    """Requests sent and not yet answered, on each connection. Without a meaning for acks=0, which is never answered."""
    connections: int = 1
    acks: int = 1
    encoding: Encoding = "newer"
    fetch_bytes: int = MEBIBYTE
    sync: Literal["default", "both", "neither"] = "default"
    """Which brokers write to the disk itself before they acknowledge: as each does by default, both, or neither."""
    client: Literal["", "confluent-kafka", "kafka perf tools", "confluent-kafka transactions"] = ""
    count: int = 0
    """How many partitions, open connections or groups there are."""

    @property
    def name(self) -> str:
        acks = "all" if self.acks == -1 else f"{self.acks}"
        sync = {"default": "", "both": "/synced", "neither": "/unsynced"}[self.sync]
        match self.kind:
            case "produce":
                shape = f"{self.records_per_request}x1kB"
                in_flight = f"/inflight={self.in_flight}" if self.acks else ""
                version = f"/v{PRODUCE_VERSIONS[self.encoding]}"
                return f"produce/{shape}{in_flight}/connections={self.connections}/acks={acks}{version}{sync}"
            case "fetch":
                size = "1MiB" if self.fetch_bytes == MEBIBYTE else f"{self.fetch_bytes // KIBIBYTE}KiB"
                return f"fetch/{size}/connections={self.connections}/v{FETCH_VERSIONS[self.encoding]}"
            case "end-to-end":
                version = f"/v{PRODUCE_VERSIONS[self.encoding]}"
                return f"end-to-end/1000 records per s/acks={acks}{version}{sync}"
            case "client":
                return f"client/{self.client}"
            case "partitions" | "open connections" | "groups":
                return f"growth/{self.count:,} {self.kind}"
            case _:
                return self.kind

    @property
    def is_pipelined(self) -> bool:
        return self.kind == "produce" and self.in_flight > 1

    @property
    def in_flight_bytes(self) -> int:
        return self.records_per_request * KILOBYTE * self.in_flight * self.connections

    def topic_configs(self, subject: str) -> dict[str, str]:
        """The configs the topic of this cell needs on a broker to have the wanted durability."""
        if self.sync == "both" and subject == "kafka":
            return {"flush.messages": "1"}
        if self.sync == "neither" and subject == "mainstem":
            return {"flush.policy": "none"}
        return {}


def _in_both(**fields: int) -> list[Cell]:
    return [Cell(kind="produce", encoding=encoding, **fields) for encoding in ("older", "newer")]


def _fetches(connections: tuple[int, ...]) -> list[Cell]:
    shapes = product((64 * KIBIBYTE, MEBIBYTE), connections, ("older", "newer"))
    return [
        Cell(kind="fetch", records_per_request=16, fetch_bytes=size, connections=each, encoding=encoding)
        for size, each, encoding in shapes
    ]


def _clients_and_growth() -> list[Cell]:
    return [
        Cell(kind="client", client="confluent-kafka"),
        Cell(kind="client", client="kafka perf tools"),
        Cell(kind="client", client=TRANSACTIONS),
        *(Cell(kind="partitions", count=count) for count in (1, 100, 1_000, 10_000)),
        *(Cell(kind="open connections", count=count) for count in (1, 2_000)),
        *(Cell(kind="groups", count=count) for count in (1, 50, 500)),
        Cell(kind="restart"),
    ]


def default_cells() -> list[Cell]:
    """One cell for each bar in both encodings: 24 raw ones, for sixteen are too few for that."""
    return [
        Cell(kind="start"),
        Cell(kind="fdatasync"),
        *_in_both(in_flight=1),
        *_in_both(in_flight=100, connections=4),
        *_in_both(in_flight=1, connections=64),
        *_in_both(records_per_request=16, in_flight=5, connections=4),
        *_in_both(records_per_request=500, in_flight=5),
        Cell(kind="produce", acks=0, connections=4),
        *_in_both(in_flight=1, acks=-1),
        *_in_both(in_flight=5, acks=-1),
        Cell(kind="produce", records_per_request=16, in_flight=5, connections=4, acks=-1),
        *_fetches((1, 4)),
        Cell(kind="end-to-end", acks=1),
        Cell(kind="end-to-end", acks=-1),
        *_clients_and_growth(),
    ]


def all_cells() -> list[Cell]:
    """The whole matrix, in the order of the report."""
    cells = [Cell(kind="start"), Cell(kind="fdatasync")]
    for records, connections, acks in product((1, 16, 500), (1, 4, 64), (0, 1, -1)):
        for in_flight in (1, 5, 100) if acks else (1,):
            cells += _in_both(records_per_request=records, connections=connections, in_flight=in_flight, acks=acks)
    for sync in ("both", "neither"):
        cells.append(Cell(kind="produce", records_per_request=16, in_flight=5, connections=4, acks=-1, sync=sync))
        cells.append(Cell(kind="produce", in_flight=1, acks=-1, sync=sync))
    cells += _fetches((1, 4, 64))
    cells += [Cell(kind="end-to-end", acks=acks, encoding=each) for acks in (1, -1) for each in ("older", "newer")]
    cells.append(Cell(kind="end-to-end", acks=-1, sync="neither"))
    cells += _clients_and_growth()
    return [cell for cell in cells if cell.in_flight_bytes <= IN_FLIGHT_BYTES_MAX]


def select_cells(patterns: list[str], *, full: bool = False) -> list[Cell]:
    """The cells whose name matches one of the patterns (`*` and `?`), or contains it; the default ones without patterns.

    A whole name selects only its cell. A pattern that matches none of the default cells is looked for in the whole matrix.

    Raises:
        ValueError: a pattern selects nothing.
    """
    cells = all_cells() if full else default_cells()
    if not patterns:
        return cells
    selected: list[Cell] = []
    for pattern in patterns:
        found = [cell for cell in cells if cell.name == pattern]
        found = found or [cell for cell in cells if _selects(pattern, cell)]
        found = found or [cell for cell in all_cells() if _selects(pattern, cell)]
        if not found:
            names = "\n  ".join(cell.name for cell in all_cells())
            raise ValueError(f"--cells {pattern} selects nothing; there are:\n  {names}")
        selected += [cell for cell in found if cell not in selected]
    return selected


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
