"""Write docs/reference/*.md from the tables in the code. test_reference_is_generated fails when they are stale.

Run: python docs/generate.py
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mainstem.api.sensor import Metric
from mainstem.api.transport import TransportTraits
from mainstem.broker.routes import ROUTES
from mainstem.faust import metrics as faust_metrics
from mainstem.model.configs.broker_keys import HONOURED_KEYS
from mainstem.model.configs.group import GROUP_KEYS
from mainstem.model.configs.topic_keys import TOPIC_KEYS
from mainstem.model.features import ALL_FEATURES
from mainstem.pipeline.engine import counters
from mainstem.telemetry import metrics
from mainstem_plugins.transport_embedded.transport import EmbeddedTransport
from mainstem_plugins.transport_kafka.transport import KafkaTransport
from mainstem_plugins.transport_memory.transport import MemoryTransport
from mainstem_plugins.transport_nats.transport import NatsTransport
from mainstem_plugins.transport_redis.transport import RedisTransport

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "reference"
SKIPPED = ROOT / "SKIPPED.md"
KAFKA_APIS = ROOT / "tests" / "data" / "kafka-4.1-api-versions.json"


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
        f"{table(head, metric_rows(counters))}\n\n"
        "## Faust apps (`/metrics` of the app's web server)\n\n"
        f"{table(head, metric_rows(faust_metrics))}\n"
    )


def apis_page() -> str:
    """Every key of Kafka 4.1: served in which versions, what is missing within, or why it is not served."""
    within = skipped_reasons("## Within served APIs")
    reasons = skipped_reasons("## APIs that are not served")
    rows = []
    for row in json.loads(KAFKA_APIS.read_text())["apis"]:
        key, name = row["key"], row["name"]
        route = ROUTES.get(key)
        served = f"{route.first_version}–{route.last_version}" if route is not None else "–"
        rows.append((name, key, served, (reasons if route is None else within).get(name, "")))
    features = [
        (f"`{f.name}`", f"{f.level_min}–{f.level_max}", f.level if f.is_announced else "not announced", f.meaning)
        for f in ALL_FEATURES
    ]
    return (
        "# APIs\n\nMade by docs/generate.py: every API key that Apache Kafka 4.1 serves to clients. Each range of versions"
        " is Kafka's; what has none is not served. The last column is taken from SKIPPED.md.\n\n"
        f"{table(('API', 'Key', 'Versions', 'What is missing'), rows)}\n\n"
        "## Features\n\nAs ApiVersions announces them (KIP-584); UpdateFeatures changes their levels.\n\n"
        f"{table(('Feature', 'Levels', 'Level of a new cluster', 'Meaning'), features)}\n"
    )


def skipped_reasons(heading: str) -> dict[str, str]:
    """The second column of a table of SKIPPED.md by each name in the first."""
    section = SKIPPED.read_text().partition(heading)[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")][2:]
    return {name.strip(): row[1].strip() for row in rows for name in row[0].split(",")}


def configs_page() -> str:
    def rows(keys: Any) -> list[tuple[object, ...]]:
        return [
            (
                f"`{k.name}`",
                k.type.name.lower(),
                f"`{k.default}`" if k.default not in (None, "") else "–",
                "at start" if k.read_only else "at once",
                k.doc,
            )
            for k in sorted(keys.values(), key=lambda k: k.name)
        ]

    head = ("Key", "Type", "Default", "Takes effect", "Meaning")
    return (
        "# Configuration\n\nMade by docs/generate.py. Kafka's other keys are accepted and have no effect.\n\n"
        f"## Broker\n\n{table(head, rows(HONOURED_KEYS))}\n\n## Topics\n\n{table(head, rows(TOPIC_KEYS))}\n\n"
        f"## Groups\n\n{table(head, rows(GROUP_KEYS))}\n"
    )


def transports_page() -> str:
    """What each transport says of itself, which `mainstem.testing.conformance.transports` holds it to."""
    traits: dict[str, TransportTraits] = {
        "embedded": EmbeddedTransport.traits,
        "kafka": KafkaTransport.traits,
        "memory": MemoryTransport.traits,
        "nats": NatsTransport.traits,
        "redis": RedisTransport.traits,
    }

    def yes(is_so: bool) -> str:
        return "yes" if is_so else "no"

    rows = [
        (
            f"`{name}`",
            yes(one.has_groups),
            one.transactions or "no",
            yes(one.is_durable),
            yes(one.is_dense),
            yes(one.compacts),
        )
        for name, one in traits.items()
    ]
    head = (
        "Transport",
        "Members share a group",
        "Transactions",
        "Outlives the process",
        "Offsets count by one",
        "Compacts",
    )
    return f"# Transports\n\nMade by docs/generate.py. How to use them: [transports](../transports.md).\n\n{table(head, rows)}\n"


def pages() -> dict[str, str]:
    """File name -> text."""
    return {
        "metrics.md": metrics_page(),
        "apis.md": apis_page(),
        "configs.md": configs_page(),
        "transports.md": transports_page(),
    }


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    for name, text in pages().items():
        (TARGET / name).write_text(text)
