"""Nothing lost, nothing twice where that is promised: rebalances under load, crashes, exactly once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import faust
import pytest
from tests.integration.faust_apps.apps import (
    commit,
    committed,
    feed,
    ignoring,
    new_app,
    records,
    running,
    settled_records,
    transport_of,
    until,
)


def member(broker: str, folder: Path, seen: list[int]) -> faust.App:
    app = new_app(broker, folder)
    totals = app.Table("totals", default=int, partitions=2)

    @app.agent(app.topic("orders", value_serializer="json"))
    async def add(stream: Any) -> None:
        async for order in stream:
            totals[order["customer"]] += 1
            seen.append(order["id"])
            if order["id"] % 100 == 0:
                await asyncio.sleep(0)

    app.totals = totals
    return app


async def test_a_member_that_comes_and_goes_under_load_repeats_nothing(broker: str, tmp_path: Path) -> None:
    """Work under way is finished and committed before partitions go; tables move with their partitions."""
    seen: list[int] = []
    first, second = member(broker, tmp_path / "first", seen), member(broker, tmp_path / "second", seen)
    async with running(first):
        await feed(first, "orders", orders(0, 10_000))
        await until(lambda: len(seen) > 1_000)
        async with running(second):
            await until(lambda: second.consumer.membership.owned and not first.rebalancing)
            await feed(first, "orders", orders(10_000, 10_000))
            await until(lambda: len(seen) >= 20_000)
            assert second.consumer.membership.owned
        await until(lambda: not first.rebalancing and {("orders", 0), ("orders", 1)} <= first.consumer.membership.owned)
        await feed(first, "orders", orders(20_000, 2_000))
        await until(lambda: len(seen) >= 22_000)
        await commit(first)
        assert await committed(first, "orders") == 22_000
        assert dict(first.totals) == {f"c{number}": 2_200 for number in range(10)}
    assert sorted(seen) == list(range(22_000))


def orders(first: int, count: int) -> list[Any]:
    return [{"id": number, "customer": f"c{number % 10}"} for number in range(first, first + count)]


SCRIPT = """
    import os, sys
    import faust

    app = faust.App(
        "shop", broker=sys.argv[1], topic_partitions=2, web_enabled=False, datadir=sys.argv[2],
        broker_commit_interval=0.2, processing_guarantee=sys.argv[3], store=sys.argv[6],
    )
    totals = app.Table("totals", default=int, partitions=2)
    out = app.topic("out", value_serializer="json")
    crash_at = int(sys.argv[4])
    wanted = int(sys.argv[5])

    @app.agent(app.topic("orders", value_serializer="json"))
    async def add(stream):
        async for order in stream:
            totals[order["customer"]] += 1
            await out.send(key=order["customer"], value=[order["id"], totals[order["customer"]]])
            if order["id"] == crash_at:
                os._exit(9)

    @app.timer(0.1)
    async def until_done():
        if sum(totals.values()) >= wanted and not app.consumer.unacked:
            await app.consumer.commit()
            os._exit(0)

    sys.argv = ["faust", "worker", "-l", "error", "--without-web"]
    app.main()
"""


@pytest.mark.parametrize(("crash_at", "store"), [(3_000, "memory://"), (7_777, "mainstem+rocksdb://")])
async def test_a_crash_with_exactly_once_leaves_each_result_once(tmp_path: Path, crash_at: int, store: str) -> None:
    broker = f"mainstem://{tmp_path / 'broker'}"
    seeder = new_app(broker, tmp_path, name="seeder")

    ignoring(seeder, "seeds")

    async with running(seeder):
        await transport_of(seeder).create_topic("orders", 2, {})
        await feed(seeder, "orders", orders(0, 10_000))
    script = tmp_path / "app.py"
    script.write_text(textwrap.dedent(SCRIPT))

    def run(crash_at: int) -> int:
        arguments = [broker, str(tmp_path / "data"), "exactly_once", str(crash_at), "10000", store]
        done = subprocess.run(
            [sys.executable, str(script), *arguments], cwd=tmp_path, timeout=100, env=os.environ, check=False
        )
        return done.returncode

    assert await asyncio.to_thread(run, crash_at) == 9
    assert await asyncio.to_thread(run, -1) == 0
    reader = new_app(broker, tmp_path, name="reader")

    ignoring(reader, "seeds")

    async with running(reader):
        found = [json.loads(value or b"") for _, value in await records(reader, "out")]
        offsets = await transport_of(reader).group_offsets("shop")
    assert sorted(number for number, _ in found) == list(range(10_000)), "each order once"
    assert sum(offset for partition, offset in offsets.items() if partition.topic == "orders") == 10_000
    counts: dict[int, int] = {}
    for number, total in found:
        counts[number % 10] = max(counts.get(number % 10, 0), total)
    assert counts == dict.fromkeys(range(10), 1_000), "the tables were recovered to what was committed"


async def test_a_table_and_awaited_sends_share_the_producer(broker: str, tmp_path: Path) -> None:
    """Changes of a table want no answer and sends do: a carrier that reports offsets must do so for both."""
    app = new_app(broker, tmp_path)
    totals = app.Table("totals", default=int, partitions=2)
    out = app.topic("out", value_serializer="json")
    offsets: list[int] = []

    @app.agent(app.topic("orders", value_serializer="json"))
    async def add(stream: Any) -> None:
        async for order in stream:
            totals[order["customer"]] += 1
            if order["id"] % 50 == 0:
                offsets.append((await (await out.send(value=order["id"], partition=0))).offset)

    async with running(app):
        await feed(app, "orders", orders(0, 1_000))
        await until(lambda: len(offsets) == 20 and sum(totals.values()) == 1_000)
        assert offsets == list(range(20))
        await app.producer.flush()
        assert len(await records(app, "shop-totals-changelog")) == 1_000


async def test_exactly_once_on_every_transport(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path, processing_guarantee="exactly_once")
    app.in_worker = True
    totals = app.Table("totals", default=int, partitions=2)
    out = app.topic("out", value_serializer="json")
    seen: list[int] = []

    @app.agent(app.topic("orders", value_serializer="json"))
    async def add(stream: Any) -> None:
        async for order in stream:
            totals[order["customer"]] += 1
            await out.send(value=order["id"])
            seen.append(order["id"])

    async with running(app):
        await feed(app, "orders", orders(0, 2_000))
        await until(lambda: len(seen) >= 2_000)
        await commit(app)
        assert await committed(app, "orders") == 2_000
        found = await settled_records(app, "out", 2_000)
        assert sorted(int(value or b"") for _, value in found) == list(range(2_000))
    assert sorted(seen) == list(range(2_000))
    again = new_app(broker, tmp_path, processing_guarantee="exactly_once")
    again.in_worker = True
    totals_again = again.Table("totals", default=int, partitions=2)

    @again.agent(again.topic("orders", value_serializer="json"))
    async def nothing(stream: Any) -> None:
        async for _ in stream:
            seen.append(-1)

    async with running(again):
        assert dict(totals_again) == {f"c{number}": 200 for number in range(10)}
    assert -1 not in seen


async def test_results_of_an_event_that_is_being_worked_on_wait_for_its_position(tmp_path: Path) -> None:
    """A transaction holds all that its positions have caused and nothing else: a commit in the middle waits."""
    app = new_app("memory://in-the-middle", tmp_path, processing_guarantee="exactly_once")
    app.in_worker = True
    out = app.topic("out", value_serializer="json")
    is_inside, may_go_on = asyncio.Event(), asyncio.Event()

    @app.agent(app.topic("orders", value_serializer="json"))
    async def work(stream: Any) -> None:
        async for order in stream:
            await out.send(value=order)
            if order == 1:
                is_inside.set()
                await may_go_on.wait()
            await out.send(value=order)

    async with running(app):
        await transport_of(app).create_topic("out", 1, {})
        await feed(app, "orders", [0, 1, 2, 3])
        await is_inside.wait()
        committing = asyncio.ensure_future(app.consumer.commit())
        await asyncio.sleep(0)
        assert len(await records(app, "out")) % 2 == 0
        may_go_on.set()
        await committing
        found = await records(app, "out")
        assert len(found) == 2 * await committed(app, "orders")
