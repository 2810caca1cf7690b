"""The measurements as a table: in the terminal with colours, and the same in Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from bars import DISK, LEFT, RIGHT, Row, rows_of
from cells import Cell
from measurements import Measurement, Medians
from rich.table import Table

_TITLE = "mainstem and Apache Kafka 4.1 on this machine, same run, medians"
_COLUMNS = ("what", "mainstem", "Kafka", "ratio", "bar", "", "p50 ms", "p99 ms", "broker cores", "generator")
# Rows that show a latency themselves need no other figure beside it.
_BESIDE = ("p50_ms", "p99_ms", "broker_cores", "generator_cores")
_PASS, _MISS = "pass", "MISS"


@dataclass(frozen=True)
class Line:
    """A row as text; `is_ahead` tells what colour its ratio has."""

    texts: tuple[str, ...]
    is_ahead: bool | None


def table(measurements: list[Measurement], cells: list[Cell]) -> Table:
    """All cells that have been measured on at least one broker, by section."""
    medians = Medians(measurements)
    shown = Table(title=_TITLE)
    for index, column in enumerate(_COLUMNS):
        shown.add_column(column, justify="left" if index in (0, 4, 5) else "right", no_wrap=index == 0)
    for section, rows in _sections(medians, cells):
        shown.add_section()
        shown.add_row(f"[bold]{section}[/bold]")
        for row in rows:
            line = _line(row, medians)
            texts = list(line.texts)
            if line.is_ahead is not None:
                texts[3] = f"[{'green' if line.is_ahead else 'red'}]{texts[3]}[/]"
            if texts[5]:
                texts[5] = f"[{'bold red' if _MISS in texts[5] else 'green'}]{texts[5]}[/]"
            shown.add_row(*texts)
    return shown


def markdown(measurements: list[Measurement], cells: list[Cell], about: list[str]) -> str:
    """The same table as a document; `about` are lines below its title."""
    medians = Medians(measurements)
    parts = [f"# {_TITLE}", "", *(line + "  " for line in about)]
    for section, rows in _sections(medians, cells):
        parts += [
            "",
            f"## {section}",
            "",
            "| " + " | ".join(_COLUMNS) + " |",
            "|---|--:|--:|--:|---|---|--:|--:|--:|--:|",
        ]
        for row in rows:
            texts = [text.strip().replace("|", "\\|") for text in _line(row, medians).texts]
            parts.append("| " + " | ".join(texts) + " |")
    return "\n".join([*parts, ""])


def verdicts(measurements: list[Measurement], cells: list[Cell]) -> tuple[int, list[str]]:
    """How many bars are passed, and those that are missed by name."""
    medians = Medians(measurements)
    judged = [(row, bar, outcome) for cell in cells for row in rows_of(cell) for bar, outcome in row.verdict(medians)]
    missed = [f"{row.cell}: {bar.text}" for row, bar, outcome in judged if not outcome]
    return len(judged) - len(missed), missed


def _sections(medians: Medians, cells: list[Cell]) -> Iterator[tuple[str, list[Row]]]:
    rows = [row for cell in cells for row in rows_of(cell)]
    measured = [row for row in rows if any(_has(medians, row, subject) for subject in (LEFT, RIGHT, DISK))]
    for section, each in groupby(measured, key=lambda row: row.section):
        yield section, list(each)


def _has(medians: Medians, row: Row, subject: str) -> bool:
    return medians.figure(row.cell, subject, row.figure) is not None or bool(medians.note(row.cell, subject))


def _line(row: Row, medians: Medians) -> Line:
    times = row.ratio(medians)
    texts = (
        row.label,
        _value(row, medians, DISK) or _value(row, medians, LEFT) or "–",
        _value(row, medians, RIGHT) or "–",
        "" if times is None else f"{times:.2f}x",
        ", ".join(bar.text for bar in row.bars),
        _verdict(row, medians),
        *(_both(row, medians, name) if row.section == "raw requests" else "" for name in _BESIDE),
    )
    return Line(texts, None if times is None else times >= 1)


def _value(row: Row, medians: Medians, subject: str) -> str:
    value = medians.figure(row.cell, subject, row.figure)
    if value is None:
        return medians.note(row.cell, subject)
    return f"{number(value)} {row.unit}"


def _both(row: Row, medians: Medians, name: str) -> str:
    values = [medians.figure(row.cell, subject, name) for subject in (LEFT, RIGHT)]
    if values == [None, None]:
        return ""
    return " / ".join("–" if value is None else number(value) for value in values)


def _verdict(row: Row, medians: Medians) -> str:
    judged = row.verdict(medians)
    if not judged:
        return ""
    missed = [bar for bar, outcome in judged if not outcome]
    if not missed:
        return _PASS
    return _MISS if len(missed) == len(judged) else f"{_MISS} {', '.join(bar.text for bar in missed)}"


def number(value: float) -> str:
    """Three digits that matter."""
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
