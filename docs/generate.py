"""Write docs/reference/*.md from the tables in the code. test_reference_is_generated fails when they are stale.

Run: python docs/generate.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mainstem.api.sensor import Metric
from mainstem.broker.routes import ROUTES
from mainstem.model.configs.broker_keys import HONOURED_KEYS
from mainstem.model.configs.group import GROUP_KEYS
from mainstem.model.configs.topic_keys import TOPIC_KEYS
from mainstem.pipeline import counters
from mainstem.telemetry import metrics

TARGET = Path(__file__).parent / "reference"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def metric_rows(module: Any) -> list[tuple[str, ...]]:
    found = [value for value in vars(module).values() if isinstance(value, Metric)]
    return [(f"`{m.name}`", m.kind, ", ".join(m.labels) or "–", m.help) for m in found]


def metrics_page() -> str:
    head = ("Name", "Kind", "Labels", "Meaning")
    return (
        "# Metrics\n\nMade by docs/generate.py. `mainstem broker --override metrics.port=9308` serves them at `/metrics`.\n\n"
        f"## Broker\n\n{table(head, metric_rows(metrics))}\n\n"
        "## Pipelines (`--metrics-port`)\n\n"
        f"{table(head, metric_rows(counters))}\n"
    )


def apis_page() -> str:
    rows = [(r.api.title, int(r.api), f"{r.first_version}–{r.last_version}") for _, r in sorted(ROUTES.items())]
    return (
        "# Served APIs\n\nMade by docs/generate.py. Each range is that of Apache Kafka 4.1; what is missing stands in "
        f"SKIPPED.md.\n\n{table(('API', 'Key', 'Versions'), rows)}\n"
    )


def configs_page() -> str:
    def rows(keys: Any) -> list[tuple[object, ...]]:
        return [
            (f"`{k.name}`", k.type.name.lower(), f"`{k.default}`" if k.default not in (None, "") else "–", k.doc)
            for k in sorted(keys.values(), key=lambda k: k.name)
        ]

    head = ("Key", "Type", "Default", "Meaning")
    return (
        "# Configuration\n\nMade by docs/generate.py. Kafka's other keys are accepted and have no effect.\n\n"
        f"## Broker\n\n{table(head, rows(HONOURED_KEYS))}\n\n## Topics\n\n{table(head, rows(TOPIC_KEYS))}\n\n"
        f"## Groups\n\n{table(head, rows(GROUP_KEYS))}\n"
    )


def pages() -> dict[str, str]:
    """File name -> text."""
    return {"metrics.md": metrics_page(), "apis.md": apis_page(), "configs.md": configs_page()}


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    for name, text in pages().items():
        (TARGET / name).write_text(text)
