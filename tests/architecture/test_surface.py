"""What is advertised exists: handlers and routes, hooks and their plugins, metrics and configuration keys and their docs."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

import mainstem
from mainstem.api import hookspecs
from mainstem.api.sensor import Metric
from mainstem.app.plugins import PluginManager
from mainstem.broker.routes import ROUTES
from mainstem.model.configs.topic_keys import TOPIC_KEYS
from mainstem.model.features import ALL_FEATURES
from mainstem.telemetry import metrics

ROOT = Path(__file__).resolve().parents[2]
HANDLERS = ROOT / "platform" / "mainstem" / "broker" / "handlers"
HOOKS = [name for name in vars(hookspecs) if name.startswith("mainstem_register_")]


def test_every_handler_is_in_routes_and_every_route_has_a_handler() -> None:
    files = {path.stem for path in HANDLERS.glob("*.py") if path.stem != "__init__"}
    assert files == {route.api.name.lower() for route in ROUTES.values()}
    for route in ROUTES.values():
        assert callable(route.handle_frame if route.is_hot else route.handle)


def test_every_handler_says_which_versions_it_serves() -> None:
    for route in ROUTES.values():
        text = (HANDLERS / f"{route.api.name.lower()}.py").read_text()
        docstring = ast.get_docstring(ast.parse(text)) or ""
        span = re.search(r"v(\d+)(?:[–-](\d+))?", docstring)
        assert span is not None, route.api.name
        assert (int(span[1]), int(span[2] or span[1])) == (route.first_version, route.last_version), route.api.name


def test_served_versions_are_those_of_apache_kafka_4_1() -> None:
    reference = json.loads((ROOT / "tests" / "data" / "kafka-4.1-api-versions.json").read_text())
    kafka = {row["key"]: (row["min"], row["max"]) for row in reference["apis"]}
    assert {k: (r.first_version, r.last_version) for k, r in ROUTES.items()} == {k: kafka[k] for k in ROUTES}


def test_every_api_of_kafka_4_1_is_served_or_skipped_by_name() -> None:
    """There is no third state, and none is in both: the first table of SKIPPED.md is exactly what is not served."""
    reference = json.loads((ROOT / "tests" / "data" / "kafka-4.1-api-versions.json").read_text())
    assert not_served_by_skipped() == {row["name"] for row in reference["apis"] if row["key"] not in ROUTES}


def not_served_by_skipped() -> set[str]:
    """The names in the first column of the table "APIs that are not served"."""
    text = (ROOT / "SKIPPED.md").read_text()
    section = text.partition("## APIs that are not served")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("|")][2:]
    assert all(len(row) == 4 and row[2].strip() for row in rows), "every row has names and a reason"
    return {name.strip() for row in rows for name in row[1].split(",")}


def test_every_api_of_kafka_4_1_is_in_the_reference() -> None:
    reference = json.loads((ROOT / "tests" / "data" / "kafka-4.1-api-versions.json").read_text())
    page = (ROOT / "docs" / "reference" / "apis.md").read_text()
    listed = dict(re.findall(r"^\| (\w+) \| \d+ \| ([^|]+) \|", page, re.MULTILINE))
    assert listed.keys() == {row["name"] for row in reference["apis"]}
    assert {name for name, versions in listed.items() if versions == "–"} == not_served_by_skipped()


def test_features_that_are_not_announced_are_skipped_by_name() -> None:
    skipped = (ROOT / "SKIPPED.md").read_text().partition("## Features in ApiVersions")[2].partition("\n## ")[0]
    assert [f.name for f in ALL_FEATURES if f.is_announced == (f"- `{f.name}`" in skipped)] == []


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_and_used_by_a_plugin_of_ours(hook: str) -> None:
    assert (getattr(hookspecs, hook).__doc__ or "").strip()
    assert f"`{hook}`" in (ROOT / "docs" / "plugins.md").read_text()
    manager = PluginManager()
    assert hook in {entry.kind.hook for entry in manager.registered() if entry.distribution == "mainstem"}


def test_no_plugin_of_ours_is_broken() -> None:
    manager = PluginManager()
    manager.load_all()
    assert manager.broken() == {}


def test_every_metric_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    names = [metric.name for metric in vars(metrics).values() if isinstance(metric, Metric)]
    assert [name for name in names if f"`{name}`" not in reference] == []


def test_public_names_can_be_imported_and_are_listed() -> None:
    for name in mainstem.__all__:
        assert getattr(mainstem, name).__name__ == name or callable(getattr(mainstem, name))
    assert sorted(mainstem.__all__) == dir(mainstem)
    with pytest.raises(AttributeError, match="Broker"):
        mainstem.Brokre  # type: ignore[attr-defined]


def test_starting_a_broker_imports_nothing_heavy() -> None:
    """What costs start-up time comes in on first use only."""
    import subprocess
    import sys

    code = (
        "import sys, mainstem.app.compose_broker, mainstem.cli.broker\n"
        "print([m for m in ('confluent_kafka', 'faust', 'aiokafka', 'prometheus_client', 'typer', 'rich', 'kio', 'avro') "
        "if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
    assert importlib.util.find_spec("mainstem") is not None


def test_every_topic_setting_is_used_or_skipped_by_name() -> None:
    sources = [
        path.read_text()
        for folder in ("platform", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        if "model/configs" not in path.as_posix() and "wire/messages" not in path.as_posix()
    ]
    skipped = (ROOT / "SKIPPED.md").read_text()
    unused = [key for key in TOPIC_KEYS.values() if not any(f".{key.attribute}" in text for text in sources)]
    assert [key.name for key in unused if f"`{key.name}`" not in skipped] == []
