"""`MainstemApp`: pipelines and agents in one app; and mainstem's serializers as Faust's codecs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.faust_apps.apps import feed, ignoring, running, until

from mainstem import Count, Pipeline
from mainstem.api.transport import Transport
from mainstem.faust import MainstemApp, codec
from mainstem.model.errors import ConfigError
from mainstem.pipeline.engine.producing import ExactlyOnce


def hosting_app(broker: str, folder: Path) -> MainstemApp:
    return MainstemApp(
        "shop", broker=broker, topic_partitions=2, web_enabled=False, datadir=str(folder / "shop"), store="memory://"
    )


async def test_a_pipeline_feeds_an_agent_of_the_same_app(broker: str, tmp_path: Path) -> None:
    app = hosting_app(broker, tmp_path)
    app.add_pipeline(
        Pipeline("doubling")
        .source("orders", value="json")
        .map(lambda order: {"id": order["id"], "price": 2 * order["price"]})
        .sink("doubled", value="json")
    )
    seen: list[Any] = []

    @app.agent(app.topic("doubled", value_serializer="mainstem_json"))
    async def collect(stream: Any) -> None:
        async for order in stream:
            seen.append(order["price"])

    ignoring(app, "orders")

    async with running(app):
        await feed(app, "orders", [{"id": number, "price": number} for number in range(500)])
        await until(lambda: len(seen) == 500)
    assert sorted(seen) == list(range(0, 1_000, 2))


async def test_a_pipeline_that_runs_exactly_once_shows_what_its_transactions_committed(
    broker: str, tmp_path: Path
) -> None:
    app = hosting_app(broker, tmp_path)
    app.add_pipeline(
        Pipeline("counting")
        .source("orders", key="string", value="json")
        .aggregate(n=Count())
        .sink("counts", value="json"),
        exactly_once=True,
    )
    seen: list[Any] = []

    @app.agent(app.topic("counts", value_serializer="json"))
    async def collect(stream: Any) -> None:
        async for count in stream:
            seen.append(count["n"])

    ignoring(app, "orders")

    async with running(app):
        await feed(app, "orders", [{"id": number} for number in range(200)], keys=["one"] * 200)
        await until(lambda: len(seen) == 200)
    assert sorted(seen) == sorted([*range(1, 101), *range(1, 101)]), "one count for each partition"


async def test_a_pipeline_has_the_same_transactional_id_at_each_start(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the start after a crash ends the transaction which the crash left open, and does not wait for its timeout."""
    asked: list[str] = []
    initialised = ExactlyOnce.__init__

    def remember(self: ExactlyOnce, transport: Transport, transactional_id: str) -> None:
        asked.append(transactional_id)
        initialised(self, transport, transactional_id)

    monkeypatch.setattr(ExactlyOnce, "__init__", remember)
    for _ in range(2):
        app = hosting_app(broker, tmp_path)
        plan = Pipeline("cleaning").source("orders", value="json").sink("clean", value="json")
        app.add_pipeline(plan, exactly_once=True)
        ignoring(app, "clean")
        async with running(app):
            pass
    assert len(asked) == 2
    assert len(set(asked)) == 1


async def test_pipelines_are_refused_on_a_broker_that_is_not_ours(tmp_path: Path) -> None:
    app = MainstemApp("shop", broker="kafka://nowhere", datadir=str(tmp_path / "shop"), web_enabled=False)
    app.add_pipeline(Pipeline("p").source("orders", value="json").sink("out", value="json"))
    with pytest.raises(ConfigError, match="mainstem://"):
        app.on_init_dependencies()


def test_a_serializer_with_settings_is_a_codec() -> None:
    schema = json.dumps({"type": "record", "name": "Order", "fields": [{"name": "price", "type": "long"}]})
    avro = codec("avro", schema=schema)
    assert avro.loads(avro.dumps({"price": 3})) == {"price": 3}
