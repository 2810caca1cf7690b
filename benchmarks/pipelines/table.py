"""The results as a table in Markdown, and as bars in a picture that needs nothing but a browser."""

from __future__ import annotations

from xml.sax.saxutils import escape

from measurements import Measurement, Medians
from systems import (
    FAUST_JOB,
    FAUST_NOTHING,
    FAUST_TABLE,
    LATENCY,
    LESS_IS_BETTER,
    RESTORE,
    SYSTEMS,
    THROUGHPUT,
    WINDOWS,
    System,
)

TITLES = {
    THROUGHPUT: "200,000 JSON orders: parse, keep half, add up by customer, write each total",
    WINDOWS: "The mean of the paid orders of each customer in tumbling windows of 10,000 orders",
    LATENCY: "From source to sink at 10,000 events/s",
    RESTORE: "From the start of a process to the first new total, behind 1,000,000 keys of state",
    FAUST_JOB: "The job as a Faust app: only its broker URL differs",
    FAUST_NOTHING: "A Faust agent that does nothing with 200,000 orders",
    FAUST_TABLE: "A Faust table of 1,000,000 keys is recovered from its changelog",
}
_PER_SECOND = ("events_per_s", "events/s")
_FIGURES = {
    THROUGHPUT: _PER_SECOND,
    WINDOWS: _PER_SECOND,
    LATENCY: ("p99_ms", "ms, p99"),
    RESTORE: ("restore_s", "s"),
    FAUST_JOB: _PER_SECOND,
    FAUST_NOTHING: _PER_SECOND,
    FAUST_TABLE: ("events_per_s", "records/s"),
}
_OURS, _THEIRS = "#0f766e", "#94a3b8"
_WIDTH, _LABELS, _BARS, _ROW, _BAR = 960, 300, 480, 28, 18
NOT_YET = "not measured"


def markdown(measurements: list[Measurement], about: str) -> str:
    medians = Medians(measurements)
    lines = ["# Pipelines beside their peers, on Apache Kafka 4.1", "", f"`make bench-pipelines`. {about}", ""]
    for cell, title in TITLES.items():
        unit = _FIGURES[cell][1]
        lines += [f"## {title}", "", f"| System | {unit} | Bar | |", "|---|---:|---:|---|"]
        for one in _of(cell):
            value = _value(medians, one)
            shown = NOT_YET if value is None else _shown(one, value)
            lines.append(f"| {one.label} | {shown} | {_bar(one)} | {_verdict(medians, one)} |")
        lines.append("")
    return "\n".join(lines)


def _of(cell: str) -> list[System]:
    return [one for one in SYSTEMS if one.cell == cell]


def _value(medians: Medians, one: System) -> float | None:
    return medians.figure(one.cell, one.name, _FIGURES[one.cell][0])


def _shown(one: System, value: float) -> str:
    return f"{value:,.1f}" if one.cell in LESS_IS_BETTER else f"{value:,.0f}"


def _bar(one: System) -> str:
    sign = "≤" if one.cell in LESS_IS_BETTER else "≥"
    parts = [] if one.bar is None else [f"{sign} {one.bar:,.0f}"]
    if one.times is not None:
        parts.append(f"≥ {one.times:g}×")
    return ", ".join(parts)


def _verdict(medians: Medians, one: System) -> str:
    value = _value(medians, one)
    if value is None or (one.bar is None and one.times is None):
        return medians.note(one.cell, one.name).replace("\n", " ").replace("|", "/")[:160]
    passed, ratio = True, ""
    if one.bar is not None:
        passed = value <= one.bar if one.cell in LESS_IS_BETTER else value >= one.bar
    if one.times is not None:
        first = _value(medians, _of(one.cell)[0])
        if first is None:
            return NOT_YET
        passed, ratio = passed and value >= one.times * first, f", {value / first:.1f}×"
    return f"{'passed' if passed else 'missed'}{ratio}"


def draw(measurements: list[Measurement]) -> str:
    """An SVG document; each group of bars has its own scale."""
    medians = Medians(measurements)
    parts, top = (
        ['<text x="20" y="32" font-size="19" font-weight="600">Pipelines on Apache Kafka 4.1, same run</text>'],
        60,
    )
    for cell, title in TITLES.items():
        found = [(one, value) for one in _of(cell) if (value := _value(medians, one)) is not None]
        if not found:
            continue
        parts.append(f'<text x="20" y="{top + 12}" font-size="13" fill="#64748b">{escape(title)}</text>')
        top += 28
        longest = max(value for _, value in found)
        for one, value in found:
            width = max(2.0, _BARS * value / longest)
            colour = _OURS if one.name.startswith("mainstem") else _THEIRS
            text = _shown(one, value)
            parts += [
                f'<text x="20" y="{top + 13}">{escape(one.label)}</text>',
                f'<rect x="{_LABELS}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>',
                f'<text x="{_LABELS + width + 8:.1f}" y="{top + 13}" font-size="12">{text} {_FIGURES[cell][1]}</text>',
            ]
            top += _ROW
        top += 16
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}" '
            'font-family="system-ui, sans-serif" font-size="14" fill="#334155">',
            f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )
