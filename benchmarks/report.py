"""The measurements as a table: one line for each cell, both brokers and their ratio."""

from collections import defaultdict

from cells import Cell, Measurement
from rich.table import Table

_LEFT, _RIGHT = "mainstem", "kafka"


def medians(measurements: list[Measurement]) -> dict[tuple[str, str], dict[str, float]]:
    """By cell and broker, the median over the rounds of each figure."""
    values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for measurement in measurements:
        for name, value in measurement.figures.items():
            values[measurement.cell, measurement.subject][name].append(value)
    return {key: {name: _median(each) for name, each in figures.items()} for key, figures in values.items()}


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def headline(cell: Cell) -> tuple[str, str, bool]:
    """The figure a cell is judged by, its unit, and whether more of it is better."""
    match cell.kind:
        case "produce":
            if cell.records_per_request == 1:
                return "requests_per_s", "req/s", True
            return "megabytes_per_s", "MB/s", True
        case "fetch":
            return "megabytes_per_s", "MB/s", True
        case "end-to-end":
            return "p50_ms", "ms", False
        case "start":
            return "start_s", "s", False


def table(measurements: list[Measurement], cells: list[Cell]) -> Table:
    """All cells that have been measured on at least one broker."""
    figures = medians(measurements)
    shown = Table(title="mainstem and Apache Kafka 4.1 on this machine, medians")
    shown.add_column("what", no_wrap=True)
    for subject in (_LEFT, _RIGHT):
        for column in (subject, "p50 ms", "p99 ms", "cores"):
            shown.add_column(column, justify="right")
    shown.add_column("ratio", justify="right")
    for cell in cells:
        left, right = figures.get((cell.name, _LEFT)), figures.get((cell.name, _RIGHT))
        if not left and not right:
            continue
        name, unit, more_is_better = headline(cell)
        shown.add_row(
            cell.name,
            *_figures(left, name, unit),
            *_figures(right, name, unit),
            _ratio(left, right, name, more_is_better),
        )
        if cell.kind == "start":
            shown.add_row(
                "memory when idle",
                *_figures(left, "idle_megabytes", "MB"),
                *_figures(right, "idle_megabytes", "MB"),
                _ratio(left, right, "idle_megabytes", False),
            )
    return shown


def _figures(figures: dict[str, float] | None, name: str, unit: str) -> list[str]:
    if not figures:
        return ["–"] * 4
    rest = [figures.get("p50_ms"), figures.get("p99_ms"), figures.get("broker_cores")]
    return [f"{number(figures[name])} {unit}", *("" if each is None else number(each) for each in rest)]


def number(value: float) -> str:
    """Three digits that matter."""
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(left: float, right: float, *, more_is_better: bool) -> float:
    """How many times better the left one is."""
    return left / right if more_is_better else right / left


def _ratio(left: dict[str, float] | None, right: dict[str, float] | None, name: str, more_is_better: bool) -> str:
    if not left or not right:
        return ""
    times = ratio(left[name], right[name], more_is_better=more_is_better)
    colour = "green" if times >= 1 else "red"
    return f"[{colour}]{times:.2f}x[/{colour}]"
