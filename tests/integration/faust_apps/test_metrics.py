"""`GET /metrics` on an app's own web server: Faust's counts, pipelines' and the broker's, from one registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
from peers.node import free_ports
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.faust_apps.apps import feed, new_app, running, until

from mainstem import Pipeline
from mainstem.faust import MainstemApp


async def scraped(port: int, path: str = "/metrics") -> dict[tuple[str, frozenset[str]], float]:
    """By name and the labels' values."""
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}{path}") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        families = text_string_to_metric_families(await answer.text())
    return {(one.name, frozenset(one.labels.values())): one.value for family in families for one in family.samples}


async def test_agents_tables_pipelines_and_the_broker_are_in_one_registry(broker: str, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    app = MainstemApp(
        "shop", broker=broker, topic_partitions=2, datadir=str(tmp_path / "shop"), store="memory://",
        web_port=port, web_bind="127.0.0.1", web_enabled=True,
    )  # fmt: skip
    app.add_pipeline(Pipeline("copying").source("orders", value="json").sink("copies", value="json"))
    totals = app.Table("totals", default=int, partitions=2)
    seen: list[Any] = []

    @app.agent(app.topic("orders", value_serializer="json", partitions=2))
    async def add(stream: Any) -> None:
        async for order in stream:
            totals[order["customer"]] += 1
            seen.append(order)

    async with running(app):
        await feed(app, "orders", [{"customer": f"c{number % 3}"} for number in range(100)])
        await until(lambda: len(seen) == 100)
        found = await scraped(port)
        assert found["mainstem_faust_messages_received_total", frozenset({"shop", "orders"})] == 100
        assert found["mainstem_faust_table_operations_total", frozenset({"shop", "totals", "keys_updated"})] == 100
        assert found["mainstem_faust_lag_records", frozenset({"shop", "orders", "0"})] == 0
        assert any(name == "mainstem_pipeline_commits_total" and "copying" in labels for name, labels in found)
        if broker.startswith("mainstem://"):
            assert any(name.startswith("kafka_") for name, _ in found), "the broker's are there too"


async def test_an_app_that_serves_the_path_itself_keeps_it(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    app = new_app("memory://own-metrics", tmp_path, web_port=port, web_bind="127.0.0.1", web_enabled=True)

    @app.page("/metrics")
    async def metrics(view: Any, request: Any) -> Any:
        return view.text("mine 1\n")

    async with running(app):
        assert await scraped(port) == {("mine", frozenset()): 1}
