"""The headline cells as bars: a picture that needs nothing but a browser."""

from xml.sax.saxutils import escape

from cells import Cell, Measurement, all_cells
from report import headline, medians, number, ratio

_HEADLINES = {
    "start": "start until the port answers",
    "produce/1x1kB/inflight=1/connections=1/acks=1": "produce, one record, one in flight",
    "produce/1x1kB/inflight=100/connections=4/acks=1": "produce, one record, 4 × 100 in flight",
    "produce/16x1kB/inflight=5/connections=4/acks=1": "produce, 16 records, 4 × 5 in flight",
    "produce/500x1kB/inflight=5/connections=1/acks=1": "produce, 500 records, 5 in flight",
    "produce/16x1kB/inflight=5/connections=4/acks=all/synced": "produce, 16 records, acks=all, both fsync",
    "fetch/1MiB/connections=1": "fetch, 1 MiB, one connection",
    "fetch/1MiB/connections=4": "fetch, 1 MiB, 4 connections",
    "end-to-end/1000 records per s/acks=1": "end-to-end latency p50, 1000 records/s",
}
_COLOURS = {"mainstem": "#0f766e", "kafka": "#94a3b8"}
_NAMES = {"mainstem": "mainstem", "kafka": "Apache Kafka 4.1"}
_WIDTH, _LABELS, _BARS = 960, 330, 430
_ROW, _BAR, _TOP = 58, 17, 70


def draw(measurements: list[Measurement]) -> str:
    """An SVG document; each pair of bars has its own scale, for the units differ."""
    figures = medians(measurements)
    rows = [cell for cell in all_cells() if cell.name in _HEADLINES and (cell.name, "mainstem") in figures]
    height = _TOP + _ROW * len(rows) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="system-ui, sans-serif" font-size="14" fill="#334155">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="20" y="32" font-size="19" font-weight="600">'
        "mainstem and Apache Kafka 4.1, same machine, same run</text>",
    ]
    for index, (subject, name) in enumerate(_NAMES.items()):
        x = 20 + 110 * index
        parts.append(f'<rect x="{x}" y="44" width="12" height="12" fill="{_COLOURS[subject]}"/>')
        parts.append(f'<text x="{x + 18}" y="55" font-size="13">{name}</text>')
    for index, cell in enumerate(rows):
        parts += _row(cell, figures, _TOP + _ROW * index)
    return "\n".join([*parts, "</svg>", ""])


def _row(cell: Cell, figures: dict[tuple[str, str], dict[str, float]], top: int) -> list[str]:
    name, unit, more_is_better = headline(cell)
    values = {subject: figures[cell.name, subject][name] for subject in _NAMES if (cell.name, subject) in figures}
    longest = max(values.values())
    parts = [f'<text x="20" y="{top + 30}">{escape(_HEADLINES[cell.name])}</text>']
    for index, (subject, value) in enumerate(values.items()):
        y, width = top + 8 + index * (_BAR + 3), max(2.0, _BARS * value / longest)
        parts.append(
            f'<rect x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{_COLOURS[subject]}"/>'
        )
        parts.append(f'<text x="{_LABELS + width + 8:.1f}" y="{y + 13}" font-size="12">{number(value)} {unit}</text>')
    if len(values) == len(_NAMES):
        times = ratio(values["mainstem"], values["kafka"], more_is_better=more_is_better)
        parts.append(f'<text x="{_WIDTH - 20}" y="{top + 32}" text-anchor="end" font-weight="600">{times:.1f}×</text>')
    return parts
