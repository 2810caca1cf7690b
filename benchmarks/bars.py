"""What each cell is judged by: its figures as rows of the table, and the bars mainstem has to reach."""

from dataclasses import dataclass, replace

from cells import MEBIBYTE, TRANSACTIONS, Cell
from measurements import Medians

LEFT, RIGHT = "mainstem", "kafka"
DISK = "disk"
_LOADED = Cell(kind="produce", in_flight=100, connections=4)
_PARTITIONS_WITH_BARS = 10_000
_CONNECTIONS_WITH_BARS = 2_000


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A floor for the ratio to Kafka, a limit for mainstem alone, or Kafka's figure with the time of a sync added."""

    figure: str
    times: float | None = None
    at_most: float | None = None
    with_sync: bool = False
    more_is_better: bool = True
    unit: str = ""

    @property
    def text(self) -> str:
        short = self.figure.partition("_")[0]
        prefix = f"{short} " if short in ("p50", "p99") else ""
        if self.with_sync:
            return f"{prefix}<= + fdatasync"
        if self.at_most is not None:
            return f"{prefix}<= {self.at_most:g} {self.unit}".rstrip()
        return f"{prefix}<=" if prefix and self.times == 1 else f"{prefix}>= {self.times:g}x"

    def passes(self, medians: Medians, cell: str) -> bool | None:
        """None while something it needs has not been measured; a measurement mainstem has failed is missed."""
        left, right = (medians.figure(cell, subject, self.figure) for subject in (LEFT, RIGHT))
        if left is None:
            return False if medians.note(cell, LEFT) else None
        if self.at_most is not None:
            return left <= self.at_most
        if right is None:
            return None
        if self.with_sync:
            sync_ms = medians.figure("fdatasync", DISK, "p50_ms")
            return None if sync_ms is None else left <= right + sync_ms
        assert self.times is not None, "a bar without a measure"
        return ratio(left, right, more_is_better=self.more_is_better) >= self.times


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: a figure of a cell on both brokers."""

    section: str
    cell: str
    label: str
    figure: str
    unit: str
    more_is_better: bool = True
    bars: tuple[Bar, ...] = ()
    is_compared: bool = True

    def verdict(self, medians: Medians) -> list[tuple[Bar, bool]]:
        """The bars that could be judged, each with its outcome."""
        judged = [(bar, bar.passes(medians, self.cell)) for bar in self.bars]
        return [(bar, outcome) for bar, outcome in judged if outcome is not None]

    def ratio(self, medians: Medians) -> float | None:
        left, right = (medians.figure(self.cell, subject, self.figure) for subject in (LEFT, RIGHT))
        if not self.is_compared or not left or not right or min(left, right) < 0:
            return None
        return ratio(left, right, more_is_better=self.more_is_better)


def ratio(left: float, right: float, *, more_is_better: bool) -> float:
    """How many times better the left one is."""
    return left / right if more_is_better else right / left


def rows_of(cell: Cell) -> list[Row]:
    """The lines of the table that show a cell."""
    match cell.kind:
        case "produce" | "fetch":
            return [_raw_row(cell)]
        case "end-to-end":
            return _end_to_end_rows(cell)
        case "client":
            return _client_rows(cell)
        case "start":
            return _start_rows(cell)
        case "partitions":
            return _partition_rows(cell)
        case "open connections":
            return _connection_rows(cell)
        case "groups":
            return _group_rows(cell)
        case "restart":
            return _restart_rows(cell)
        case "fdatasync":
            label = "fdatasync of an append of 1.1 kB, p50"
            return [Row(section="disk", cell=cell.name, label=label, figure="p50_ms", unit="ms", more_is_better=False)]


def _raw_row(cell: Cell) -> Row:
    by_requests = cell.kind == "produce" and cell.records_per_request == 1
    figure, unit = ("requests_per_s", "req/s") if by_requests else ("megabytes_per_s", "MB/s")
    row = Row(section="raw requests", cell=cell.name, label=cell.name, figure=figure, unit=unit)
    return replace(row, bars=tuple(_raw_bars(cell, figure)))


def _raw_bars(cell: Cell, figure: str) -> list[Bar]:
    if cell.kind == "fetch":
        return [Bar(figure=figure, times=1.2 if cell.fetch_bytes == MEBIBYTE else 3)]
    if cell.sync != "default":
        return []
    no_later = Bar(figure="p99_ms", times=1, more_is_better=False)
    if cell.acks == -1:
        if cell.in_flight == 1 and cell.connections == 1:
            return [Bar(figure="p50_ms", with_sync=True, more_is_better=False)]
        return [Bar(figure=figure, times=1), no_later] if cell.is_pipelined else []
    bars = [Bar(figure=figure, times=_floor(cell))]
    return [*bars, no_later] if cell.is_pipelined else bars


def _floor(cell: Cell) -> float:
    """How many times Kafka's throughput is asked for where nothing waits for the disk."""
    match cell.records_per_request:
        case 500:
            return 1.2
        case 16:
            return 1.7
    if cell.connections == 64:
        return 1.2
    return 3 if cell.is_pipelined or cell.acks == 0 else 2


def _end_to_end_rows(cell: Cell) -> list[Row]:
    first = Row(
        section="produce to consume, 1,000 records of 1 kB per s",
        cell=cell.name,
        label=cell.name + " p50",
        figure="p50_ms",
        unit="ms",
        more_is_better=False,
    )
    p99_bar = Bar(figure="p99_ms", times=1, more_is_better=False)
    p99 = replace(first, label="  p99", figure="p99_ms", bars=(p99_bar,) if cell.sync == "default" else ())
    return [first, p99, replace(first, label="  p99.9", figure="p999_ms")]


def _start_rows(cell: Cell) -> list[Row]:
    soon = (
        Bar(figure="start_s", at_most=0.4, unit="s"),
        Bar(figure="start_s", times=10, more_is_better=False),
    )
    small = (Bar(figure="idle_megabytes", at_most=80, unit="MB"),)
    first = Row(
        section="start and memory",
        cell=cell.name,
        label="start until the port answers",
        figure="start_s",
        unit="s",
        more_is_better=False,
        bars=soon,
    )
    idle = replace(first, label="resident when idle", figure="idle_megabytes", unit="MB", bars=small)
    loaded = replace(
        idle, cell=_LOADED.name, label="resident after 4 × 100 in flight", figure="loaded_megabytes", bars=()
    )
    return [first, idle, loaded]


def _client_rows(cell: Cell) -> list[Row]:
    produced = Row(
        section="real clients, records of 1 kB",
        cell=cell.name,
        label=f"{cell.client}: produced",
        figure="produced_per_s",
        unit="records/s",
        bars=(Bar(figure="produced_per_s", times=1),),
    )
    consumed = replace(
        produced,
        label=f"{cell.client}: consumed",
        figure="consumed_per_s",
        bars=(Bar(figure="consumed_per_s", times=1),),
    )
    if cell.client == TRANSACTIONS:
        rate = replace(produced, label="transactions of 10 records", figure="transactions_per_s", unit="/s", bars=())
        commit = replace(rate, label="  p50 of a commit", figure="p50_ms", unit="ms", more_is_better=False)
        return [rate, commit, replace(commit, label="  p99 of a commit", figure="p99_ms")]
    if cell.client == "confluent-kafka":
        return [produced, consumed]
    no_later = Bar(figure="p99_ms", times=1, more_is_better=False)
    latency = replace(produced, label="  p99 while producing", figure="p99_ms", unit="ms", more_is_better=False)
    return [produced, replace(latency, bars=(no_later,)), consumed]


def _growth_row(cell: Cell, label: str, figure: str, unit: str, *limits: float) -> Row:
    return Row(
        section="growth",
        cell=cell.name,
        label=label,
        figure=figure,
        unit=unit,
        more_is_better=False,
        bars=tuple(Bar(figure=figure, at_most=limit, unit=unit) for limit in limits),
    )


def _partition_rows(cell: Cell) -> list[Row]:
    at_most = cell.count >= _PARTITIONS_WITH_BARS
    noun = "partition" if cell.count == 1 else "partitions"
    files = _growth_row(cell, "  open files", "open_files", "")
    within = Bar(figure="open_files_share", at_most=1, unit="of the limit")
    return [
        _growth_row(cell, f"{cell.count:,} {noun}: started again", "start_s", "s", *((5,) if at_most else ())),
        _growth_row(cell, "  resident", "resident_megabytes", "MB", *((500,) if at_most else ())),
        replace(files, bars=(within,) if at_most else ()),
        _growth_row(cell, "  made", "create_s", "s"),
    ]


def _connection_rows(cell: Cell) -> list[Row]:
    limits = (100,) if cell.count >= _CONNECTIONS_WITH_BARS else ()
    noun = "connection" if cell.count == 1 else "connections"
    return [_growth_row(cell, f"{cell.count:,} idle {noun}: more memory", "more_megabytes", "MB", *limits)]


def _group_rows(cell: Cell) -> list[Row]:
    noun = "group" if cell.count == 1 else "groups"
    commits = _growth_row(cell, f"{cell.count:,} {noun}: commits", "commits_per_s", "commits/s")
    return [
        replace(commits, more_is_better=True),
        _growth_row(cell, "  p99 of a commit", "p99_ms", "ms"),
        _growth_row(cell, "  resident", "resident_megabytes", "MB"),
    ]


def _restart_rows(cell: Cell) -> list[Row]:
    clean = Row(
        section="restart",
        cell=cell.name,
        label="after a clean end",
        figure="clean_s",
        unit="s",
        more_is_better=False,
    )
    held = replace(clean, label="log held", figure="gigabytes", unit="GB", is_compared=False)
    return [held, clean, replace(clean, label="after kill -9", figure="killed_s")]
