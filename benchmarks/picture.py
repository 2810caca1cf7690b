"""The headline rows as bars: a picture that needs nothing but a browser."""

from itertools import groupby
from xml.sax.saxutils import escape

from bars import LEFT, RIGHT, Row, rows_of
from cells import default_cells
from measurements import Measurement, Medians
from report import number

_HEADLINES = {
    ("start", "start_s"): "start until the port answers",
    ("start", "idle_megabytes"): "resident memory when idle",
    ("produce/1x1kB/inflight=1/connections=1/acks=1/v13", "requests_per_s"): "produce 1 record, one in flight",
    ("produce/1x1kB/inflight=100/connections=4/acks=1/v13", "requests_per_s"): "produce 1 record, 4 × 100 in flight",
    ("produce/1x1kB/inflight=1/connections=64/acks=1/v13", "requests_per_s"): "produce 1 record, 64 connections",
    ("produce/16x1kB/inflight=5/connections=4/acks=1/v13", "megabytes_per_s"): "produce 16 records, 4 × 5 in flight",
    ("produce/500x1kB/inflight=5/connections=1/acks=1/v13", "megabytes_per_s"): "produce 500 records, 5 in flight",
    ("produce/1x1kB/inflight=5/connections=1/acks=all/v13", "requests_per_s"): "acks=all: ours synced, Kafka's not",
    ("fetch/64KiB/connections=1/v18", "megabytes_per_s"): "fetch 64 KiB",
    ("fetch/1MiB/connections=1/v18", "megabytes_per_s"): "fetch 1 MiB",
    ("end-to-end/1000 records per s/acks=1/v13", "p50_ms"): "latency, p50",
    ("end-to-end/1000 records per s/acks=1/v13", "p99_ms"): "latency, p99",
    ("client/confluent-kafka", "produced_per_s"): "confluent-kafka, produced",
    ("client/confluent-kafka", "consumed_per_s"): "confluent-kafka, consumed",
    ("client/kafka perf tools", "produced_per_s"): "kafka-producer-perf-test",
    ("client/kafka perf tools", "consumed_per_s"): "kafka-consumer-perf-test",
    ("client/confluent-kafka transactions", "transactions_per_s"): "transactions of 10 records",
    ("growth/10,000 partitions", "start_s"): "start on 10,000 partitions",
    ("growth/10,000 partitions", "resident_megabytes"): "resident with 10,000 partitions",
    ("growth/2,000 open connections", "more_megabytes"): "memory of 2,000 idle connections",
    ("growth/500 groups", "commits_per_s"): "commits of 500 groups",
    ("restart", "clean_s"): "start on gigabytes, after a clean end",
    ("restart", "killed_s"): "start on gigabytes, after kill -9",
}
_COLOURS = {LEFT: "#0f766e", RIGHT: "#94a3b8"}
_NAMES = {LEFT: "mainstem", RIGHT: "Apache Kafka 4.1"}
_WIDTH, _LABELS, _BARS = 960, 320, 430
_GROUP, _ROW, _BAR, _TOP = 40, 50, 16, 76


def draw(measurements: list[Measurement]) -> str:
    """An SVG document; each pair of bars has its own scale, for the units differ."""
    medians = Medians(measurements)
    rows = [row for cell in default_cells() for row in rows_of(cell) if (row.cell, row.figure) in _HEADLINES]
    rows = [row for row in rows if medians.figure(row.cell, LEFT, row.figure) is not None]
    parts, top = _legend(), _TOP
    for section, each in groupby(rows, key=lambda row: row.section):
        parts.append(f'<line x1="20" y1="{top + 8}" x2="{_WIDTH - 20}" y2="{top + 8}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="20" y="{top + 29}" font-size="13" fill="#64748b">{escape(section)}</text>')
        top += _GROUP
        for row in each:
            parts += _row(row, medians, top)
            top += _ROW
    height = top + 16
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
            f'viewBox="0 0 {_WIDTH} {height}" font-family="system-ui, sans-serif" font-size="14" fill="#334155">',
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _legend() -> list[str]:
    parts = [
        '<text x="20" y="32" font-size="19" font-weight="600">'
        "mainstem and Apache Kafka 4.1, same machine, same run</text>"
    ]
    for index, (subject, name) in enumerate(_NAMES.items()):
        x = 20 + 110 * index
        parts.append(f'<rect x="{x}" y="46" width="12" height="12" fill="{_COLOURS[subject]}"/>')
        parts.append(f'<text x="{x + 18}" y="57" font-size="13">{name}</text>')
    parts.append(f'<text x="{_WIDTH - 20}" y="57" font-size="13" text-anchor="end">times better</text>')
    return parts


def _row(row: Row, medians: Medians, top: int) -> list[str]:
    found = {subject: medians.figure(row.cell, subject, row.figure) for subject in _NAMES}
    values = {subject: value for subject, value in found.items() if value is not None}
    longest = max(*values.values(), 1e-9)
    parts = [f'<text x="20" y="{top + 24}">{escape(_HEADLINES[row.cell, row.figure])}</text>']
    for index, (subject, value) in enumerate(values.items()):
        y, width = top + 2 + index * (_BAR + 3), max(2.0, _BARS * value / longest)
        parts.append(
            f'<rect x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{_COLOURS[subject]}"/>'
        )
        text = escape(f"{number(value)} {row.unit}")
        parts.append(f'<text x="{_LABELS + width + 8:.1f}" y="{y + 12}" font-size="12">{text}</text>')
    if note := medians.note(row.cell, RIGHT) if RIGHT not in values else "":
        parts.append(f'<text x="{_LABELS}" y="{top + 2 + _BAR + 3 + 12}" font-size="12">{escape(note)}</text>')
    times = row.ratio(medians)
    if times is not None:
        colour = "#0f766e" if times >= 1 else "#b91c1c"
        parts.append(
            f'<text x="{_WIDTH - 20}" y="{top + 26}" text-anchor="end" font-weight="600" fill="{colour}">'
            f"{number(times)}×</text>"
        )
    return parts
