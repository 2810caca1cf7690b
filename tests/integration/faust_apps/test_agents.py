"""What agents see on the batch driver, and what is committed of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import faust
from tests.integration.faust_apps.apps import commit, committed, feed, new_app, records, running, until


async def test_every_event_is_seen_once_and_the_stop_commits_them(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    orders = app.topic("orders", value_serializer="json")
    seen: list[int] = []

    @app.agent(orders)
    async def collect(stream: Any) -> None:
        async for order in stream:
            seen.append(order["id"])

    async with running(app):
        await feed(app, "orders", [{"id": number} for number in range(20_000)])
        await until(lambda: len(seen) >= 20_000)
        await commit(app)
        assert await committed(app, "orders") == 20_000
    assert sorted(seen) == list(range(20_000))


async def test_a_second_start_goes_on_where_the_first_ended_with_its_tables(broker: str, tmp_path: Path) -> None:
    async def run(first: int, count: int) -> dict[str, float]:
        app = new_app(broker, tmp_path)
        orders = app.topic("orders", value_serializer="json")
        totals = app.Table("totals", default=int, partitions=2)
        seen = 0

        @app.agent(orders)
        async def add(stream: Any) -> None:
            nonlocal seen
            async for order in stream:
                totals[order["customer"]] += order["price"]
                seen += 1

        async with running(app):
            values = [{"customer": f"c{number % 10}", "price": 1} for number in range(first, first + count)]
            await feed(app, "orders", values)
            await until(lambda: seen >= count)
            assert seen == count, "nothing is seen again"
            return dict(totals)

    assert sum((await run(0, 4_000)).values()) == 4_000
    assert await run(4_000, 1_000) == {f"c{number}": 500 for number in range(10)}


async def test_two_agents_of_one_topic_both_see_everything(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    orders = app.topic("orders", value_serializer="json")
    seen: dict[str, list[int]] = {"fast": [], "slow": []}

    @app.agent(orders)
    async def fast(stream: Any) -> None:
        async for order in stream:
            seen["fast"].append(order)

    @app.agent(orders)
    async def slow(stream: Any) -> None:
        async for order in stream:
            await asyncio.sleep(0)
            seen["slow"].append(order)

    async with running(app):
        await feed(app, "orders", list(range(2_000)))
        await until(lambda: min(map(len, seen.values())) >= 2_000)
        await commit(app)
        assert await committed(app, "orders") == 2_000
    assert {name: sorted(values) for name, values in seen.items()} == {name: list(range(2_000)) for name in seen}


async def test_actors_of_one_agent_share_its_events(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    seen: list[int] = []

    @app.agent(app.topic("orders", value_serializer="json"), concurrency=4)
    async def work(stream: Any) -> None:
        async for order in stream:
            await asyncio.sleep(0)
            seen.append(order)

    async with running(app):
        await feed(app, "orders", list(range(4_000)))
        await until(lambda: len(seen) >= 4_000)
        await commit(app)
        assert await committed(app, "orders") == 4_000
    assert sorted(seen) == list(range(4_000))


async def test_an_agent_that_raises_loses_that_event_only(broker: str, tmp_path: Path) -> None:
    """Faust acknowledges the event that raised and restarts the actor; the others wait in the queue meanwhile."""
    app = new_app(broker, tmp_path)
    seen: list[int] = []

    @app.agent(app.topic("orders", value_serializer="json"))
    async def work(stream: Any) -> None:
        async for order in stream:
            if order == 77:
                raise RuntimeError("77 is bad luck here")
            seen.append(order)

    async with running(app):
        await feed(app, "orders", list(range(1_000)))
        await until(lambda: len(seen) >= 999)
        await commit(app)
        assert await committed(app, "orders") == 1_000
    assert sorted(seen) == [number for number in range(1_000) if number != 77]


async def test_a_value_that_cannot_be_decoded_is_told_to_the_agent_and_the_rest_goes_on(
    broker: str, tmp_path: Path
) -> None:
    app = new_app(broker, tmp_path)
    seen: list[int] = []

    @app.agent(app.topic("orders", value_serializer="json"))
    async def work(stream: Any) -> None:
        async for order in stream:
            seen.append(order)

    async with running(app):
        values: list[Any] = list(range(500))
        values[250] = b"{no json"
        await feed(app, "orders", values)
        await until(lambda: len(seen) >= 499)
        await commit(app)
        assert await committed(app, "orders") == 500
    assert sorted(seen) == [number for number in range(500) if number != 250]


async def test_take_filter_through_and_group_by(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    taken: list[int] = []
    even: list[int] = []
    grouped: list[tuple[Any, int]] = []

    @app.agent(app.topic("taken", value_serializer="json"))
    async def take(stream: Any) -> None:
        async for values in stream.take(100, within=0.2):
            assert len(values) <= 100
            taken.extend(values)

    @app.agent(app.topic("filtered", value_serializer="json"))
    async def keep(stream: Any) -> None:
        async for value in stream.filter(lambda value: value % 2 == 0).through(app.topic("kept", partitions=2)):
            even.append(value)

    @app.agent(app.topic("grouped", value_serializer="json"))
    async def group(stream: Any) -> None:
        async for key, value in stream.group_by(lambda value: value["k"], name="by-k").items():
            grouped.append((key, value["n"]))

    async with running(app):
        await feed(app, "taken", list(range(1_050)))
        await feed(app, "filtered", list(range(400)))
        await feed(app, "grouped", [{"k": f"k{number % 7}", "n": number} for number in range(700)])
        await until(lambda: len(taken) >= 1_050 and len(even) >= 200 and len(grouped) >= 700)
        await commit(app)
        assert await committed(app, "filtered") == 400
        await until(lambda: not app.consumer.unacked)
        await commit(app)
        assert await committed(app, "taken") == 1_050
    assert sorted(taken) == list(range(1_050))
    assert sorted(even) == list(range(0, 400, 2))
    assert sorted(number for _, number in grouped) == list(range(700))
    assert {key for key, _ in grouped} == {f"k{number}".encode() for number in range(7)}


async def test_acknowledging_by_hand(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    held: list[Any] = []

    @app.agent(app.topic("orders", value_serializer="json"))
    async def work(stream: Any) -> None:
        async for event in stream.noack().events():
            held.append(event)

    async with running(app):
        await feed(app, "orders", list(range(100)))
        await until(lambda: len(held) == 100)
        await commit(app)
        assert await committed(app, "orders") == 0
        assert len(app.consumer.unacked) == 100
        for event in reversed(held[1:]):
            event.ack()
        await commit(app)
        first = held[0].message
        assert await committed(app, "orders") == 50, f"partition {first.partition} stays at its first event"
        held[0].ack()
        await commit(app)
        assert await committed(app, "orders") == 100
        assert not app.consumer.unacked


class Order(faust.Record, serializer="json"):
    customer: str
    price: float


async def test_models_keys_headers_and_timestamps(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    orders = app.topic("orders", key_type=str, value_type=Order)
    found: list[Any] = []

    @app.agent(orders)
    async def work(stream: Any) -> None:
        async for event in stream.events():
            found.append(event)

    async with running(app):
        sent = await orders.send(
            key="kim", value=Order("kim", 2.5), headers={"who": b"me"}, timestamp=1_700_000_000.25, partition=1
        )
        metadata = await sent
        assert (metadata.topic, metadata.partition, metadata.offset) == ("orders", 1, 0)
        await until(lambda: found)
    [event] = found
    assert (event.key, event.value, event.headers) == ("kim", Order("kim", 2.5), {"who": b"me"})
    assert event.message.timestamp == 1_700_000_000.25
    assert event.message.serialized_key_size == 3


async def test_a_local_channel_and_a_sink(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    channel = app.channel()
    out = app.topic("out", value_serializer="json")

    @app.agent(channel, sink=[out])
    async def double(stream: Any) -> Any:
        async for value in stream:
            yield value * 2

    async with running(app):
        for number in range(10):
            await channel.put(app.create_event(None, number, {}, _message(app, number)))
        await until(lambda: app.monitor.messages_sent >= 10)
        await app.producer.flush()
        assert sorted(int(value or b"0") for _, value in await records(app, "out")) == list(range(0, 20, 2))


def _message(app: faust.App, number: int) -> Any:
    from faust.types import Message

    return Message("anonymous", 0, number, 0.0, 0, None, None, None, None, generation_id=app.consumer_generation_id)
