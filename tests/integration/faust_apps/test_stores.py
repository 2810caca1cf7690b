"""Tables in a state plugin of mainstem: `store="mainstem+rocksdb://"`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.exceptions import ImproperlyConfigured
from tests.integration.faust_apps.apps import (
    commit,
    feed,
    ignoring,
    new_app,
    records,
    running,
    transport_of,
    until,
)

from mainstem.model.errors import ConfigError

STORE = "mainstem+rocksdb://"


def keeping(broker: str, folder: Path, **settings: Any) -> faust.App:
    """Keeps the last price of each key; None removes it. `app.seen`: how many it has had."""
    app = new_app(broker, folder, store=STORE, **settings)
    app.last = app.Table("last", partitions=2)
    app.seen = 0

    @app.agent(app.topic("orders", value_serializer="json"))
    async def keep(stream: Any) -> None:
        async for order in stream:
            if order["price"] is None:
                del app.last[order["k"]]
            else:
                app.last[order["k"]] = order["price"]
            app.seen += 1

    return app


async def test_views_show_what_is_on_disk_and_what_waits(broker: str, tmp_path: Path) -> None:
    app = keeping(broker, tmp_path)
    orders: list[Any] = [{"k": f"k{number}", "price": number} for number in range(3_000)]
    orders += [{"k": f"k{number}", "price": None if number % 2 == 0 else number} for number in range(3_000)]
    async with running(app):
        await feed(app, "orders", orders)
        await until(lambda: app.seen == len(orders))
        left = {f"k{number}": number for number in range(1, 3_000, 2)}
        assert dict(app.last.items()) == left
        assert set(app.last.keys()) == set(left)
        assert sorted(app.last.values()) == sorted(left.values())
        assert len(app.last) == 1_500
        assert "k1" in app.last
        assert "k0" not in app.last
    again = keeping(broker, tmp_path)
    async with running(again):
        assert dict(again.last.items()) == left


async def test_a_lost_folder_comes_back_from_the_changelog(broker: str, tmp_path: Path) -> None:
    orders = [{"k": f"k{number % 100}", "price": number} for number in range(1_000)]
    app = keeping(broker, tmp_path)
    async with running(app):
        await feed(app, "orders", orders)
        await until(lambda: app.seen == 1_000)
        await commit(app)
        found = dict(app.last.items())
    app.last.reset_state()
    assert not list(app.conf.tabledir.glob("last-*"))
    again = keeping(broker, tmp_path)
    async with running(again):
        assert dict(again.last.items()) == found
        assert again.seen == 0


async def test_windows_and_a_global_table_on_disk(broker: str, tmp_path: Path) -> None:
    def make() -> faust.App:
        app = new_app(broker, tmp_path, store=STORE)
        app.counts = app.Table("counts", default=int, partitions=2).tumbling(timedelta(seconds=1))
        app.rates = app.GlobalTable("rates", partitions=2)
        app.seen = 0

        @app.agent(app.topic("orders", value_serializer="json"))
        async def count(stream: Any) -> None:
            async for order in stream:
                app.counts[order["k"]] += 1
                app.rates[order["k"]] = 7
                app.seen += 1

        return app

    app = make()
    async with running(app):
        await feed(app, "orders", [{"k": f"k{number % 10}"} for number in range(4_000)])
        await until(lambda: app.seen == 4_000)
        await commit(app)
        assert Counter(app.counts.table.data.values()) == {100: 40}
    again = make()
    async with running(again):
        assert Counter(again.counts.table.data.values()) == {100: 40}
        assert dict(again.rates.items()) == {f"k{number}": 7 for number in range(10)}


async def test_tables_move_with_their_partitions(tmp_path: Path) -> None:
    """Two workers with a folder each: what one had on disk the other reads from the changelog, and back again."""
    broker = "memory://moving-tables"
    first, second = keeping(broker, tmp_path / "first"), keeping(broker, tmp_path / "second")
    async with running(first):
        await feed(first, "orders", [{"k": f"k{number}", "price": 1} for number in range(1_000)])
        await until(lambda: first.seen == 1_000)
        async with running(second):
            await until(lambda: second.consumer.membership.owned and not first.rebalancing)
            await feed(first, "orders", [{"k": f"k{number}", "price": 2} for number in range(1_000)])
            await until(lambda: first.seen + second.seen == 2_000)
            assert second.seen == 500
            assert set(second.last.values()) == {2}
            assert len(first.last) == len(second.last) == 500
        await until(lambda: not first.rebalancing and {("orders", 0), ("orders", 1)} <= first.consumer.membership.owned)
        await until(lambda: len(first.last) == 1_000)
        assert set(first.last.values()) == {2}


CRASHING = """
    import os, sys
    import faust

    app = faust.App(
        "shop", broker=sys.argv[1], topic_partitions=2, web_enabled=False, datadir=sys.argv[2],
        broker_commit_interval=0.2, store="mainstem+rocksdb://",
    )
    last = app.Table("last", partitions=2)
    seen = 0

    @app.agent(app.topic("orders", value_serializer="json"))
    async def keep(stream):
        global seen
        async for order in stream:
            last[order["k"]] = order["price"]
            seen += 1
            if seen == 5_000:
                os._exit(9)

    sys.argv = ["faust", "worker", "-l", "error", "--without-web"]
    app.main()
"""


async def test_after_a_crash_nothing_is_missing(tmp_path: Path) -> None:
    """What waited in memory is in the changelog, or its event comes again."""
    broker = f"mainstem://{tmp_path / 'broker'}"
    seeder = new_app(broker, tmp_path, name="seeder")
    ignoring(seeder, "seeds")
    async with running(seeder):
        await transport_of(seeder).create_topic("orders", 2, {})
        await feed(seeder, "orders", [{"k": f"k{number % 2_000}", "price": number} for number in range(10_000)])
    script = tmp_path / "app.py"
    script.write_text(textwrap.dedent(CRASHING))
    command = [sys.executable, str(script), broker, str(tmp_path / "shop")]
    assert subprocess.run(command, cwd=tmp_path, timeout=60, env=os.environ, check=False).returncode == 9  # noqa: ASYNC221
    again = keeping(broker, tmp_path)
    async with running(again):
        await until(
            lambda: again.seen and len(again.last) == 2_000 and set(again.last.values()) == set(range(8_000, 10_000))
        )
        await again.producer.flush()
        newest = {
            json.loads(key or b""): json.loads(value or b"")
            for key, value in await records(again, again.last.changelog_topic_name)
        }
        assert newest == dict(again.last.items())


def test_mistakes_are_told_when_the_table_is_made(tmp_path: Path) -> None:
    app = new_app("memory://mistakes", tmp_path, store=STORE)
    with pytest.raises(ImproperlyConfigured, match="sets"):
        _ = app.SetTable("sets").data.storage
    with pytest.raises(ConfigError, match="write_buffer"):
        _ = app.Table("t", store="mainstem+rocksdb://?write_buffer=1").data
