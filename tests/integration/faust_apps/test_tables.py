"""Tables on the batch driver: windows, changelogs, recovery, stores on disk, global tables."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import faust
import pytest
from tests.integration.faust_apps.apps import feed, ignoring, new_app, records, running, transport_of, until

from mainstem.api.batch import Batch
from mainstem.faust import recovery
from mainstem.model.ids import TopicPartition


async def test_tumbling_windows_and_their_changelog(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    orders = app.topic("orders", value_serializer="json")
    counts = app.Table("counts", default=int, partitions=2).tumbling(timedelta(seconds=1), expires=timedelta(hours=1))
    seen = 0

    @app.agent(orders)
    async def count(stream: Any) -> None:
        nonlocal seen
        async for order in stream:
            counts[order["k"]] += 1
            seen += 1

    async with running(app):
        await feed(app, "orders", [{"k": f"k{number % 10}"} for number in range(4_000)])
        await until(lambda: seen >= 4_000)
        # Timestamps rise by 1 ms: a window of a second holds a hundred records of each of ten keys.
        values = list(counts.table.data.values())
        assert len(values) == 40
        assert sum(values) == 4_000
        assert set(values) == {100}
        await app.producer.flush()
        assert len(await records(app, "shop-counts-changelog")) == 4_000


async def test_removed_keys_stay_removed_after_recovery(broker: str, tmp_path: Path) -> None:
    async def run(values: list[Any]) -> dict[str, Any]:
        app = new_app(broker, tmp_path)
        orders = app.topic("orders", value_serializer="json")
        table = app.Table("last", partitions=2)
        seen = 0

        @app.agent(orders)
        async def keep(stream: Any) -> None:
            nonlocal seen
            async for order in stream:
                if order["price"] is None:
                    del table[order["k"]]
                else:
                    table[order["k"]] = order["price"]
                seen += 1

        async with running(app):
            found = dict(table)
            if values:
                await feed(app, "orders", values)
                await until(lambda: seen == len(values))
            return found if not values else dict(table)

    # Value i goes to partition i % 2, so that a key stays in its partition.
    await run([{"k": "a", "price": 1}, {"k": "b", "price": 2}, {"k": "a", "price": None}, {"k": "b", "price": 3}])
    assert await run([]) == {"b": 3}


async def test_recovery_of_many_records(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the queue of changelogs holds at a time; and recovery goes on because it is told, not because it looks again."""
    monkeypatch.setattr(recovery, "IDLE_WAIT_S", 3_600.0)
    app = new_app(broker, tmp_path)
    table = app.Table("big", partitions=2)

    ignoring(app, "orders")

    seeder = new_app(broker, tmp_path, name="seeder")

    ignoring(seeder, "seeds")

    async with running(seeder):
        transport = transport_of(seeder)
        await transport.create_topic("shop-big-changelog", 2, {"cleanup.policy": "compact"})
        producer = transport.producer()
        for number in range(2):
            batch = Batch(
                keys=[b'"k%d-%d"' % (number, place) for place in range(10_000)],
                values=[b"%d" % place for place in range(10_000)],
                timestamps=[1_700_000_000_000] * 10_000,
            )
            await producer.produce(TopicPartition("shop-big-changelog", number), batch)
        await producer.flush()
        await producer.close()
        async with running(app):
            assert len(table) == 20_000
            assert table["k1-9999"] == 9_999


@pytest.mark.parametrize("store", ["rocksdb://?driver=rocksdict", "mainstem+rocksdb://"])
async def test_a_store_on_disk_recovers_only_what_it_has_not_seen(broker: str, tmp_path: Path, store: str) -> None:
    """It keeps how far it has followed the changelog; the second start reads from there."""

    async def run(count: int) -> tuple[dict[str, int], int]:
        app = new_app(broker, tmp_path, store=store)
        table = app.Table("totals", default=int, partitions=2)
        seen = 0

        @app.agent(app.topic("orders", value_serializer="json"))
        async def add(stream: Any) -> None:
            nonlocal seen
            async for order in stream:
                table[order["k"]] += 1
                seen += 1

        async with running(app):
            recovered = sum(
                1 for tp in app.tables.recovery.active_offsets if (table.data.persisted_offset(tp) or 0) >= 99
            )
            await feed(app, "orders", [{"k": f"k{number % 4}"} for number in range(count)])
            await until(lambda: seen == count)
            await app.producer.flush()
            return dict(table.items()), recovered

    totals, _ = await run(400)
    assert totals == {f"k{number}": 100 for number in range(4)}
    totals, recovered = await run(400)
    assert totals == {f"k{number}": 200 for number in range(4)}
    assert recovered == 2, "both partitions know their offset"


async def test_a_global_table_is_whole_in_every_member(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    rates = app.GlobalTable("rates", partitions=2)

    @app.agent(app.topic("changes", value_serializer="json"))
    async def change(stream: Any) -> None:
        async for one in stream:
            rates[one["k"]] = one["v"]

    async with running(app):
        await feed(app, "changes", [{"k": "eur", "v": 1}, {"k": "usd", "v": 2}])
        await until(lambda: len(rates) == 2)
        await app.producer.flush()
    again = new_app(broker, tmp_path)
    rates_again = again.GlobalTable("rates", partitions=2)

    ignoring(again, "changes")

    async with running(again):
        assert dict(rates_again) == {"eur": 1, "usd": 2}


class Account(faust.Record, serializer="json"):
    name: str
    balance: float = 0.0


async def test_models_as_values_of_a_table(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    accounts = app.Table("accounts", key_type=str, value_type=Account, partitions=2)
    seen = 0

    @app.agent(app.topic("orders", value_serializer="json"))
    async def add(stream: Any) -> None:
        nonlocal seen
        async for order in stream:
            accounts[order] = Account(name=order, balance=2.0)
            seen += 1

    async with running(app):
        await feed(app, "orders", ["kim", "lee"])
        await until(lambda: seen == 2)
        await app.producer.flush()
        assert {key for key, _ in await records(app, "shop-accounts-changelog")} == {b'"kim"', b'"lee"'}
    assert accounts["kim"] == Account("kim", 2.0)
