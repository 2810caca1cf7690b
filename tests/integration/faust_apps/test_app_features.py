"""What else an app has: RPC, timers, the leader, sensors, plain functions that send."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import faust
from faust.types import TP
from tests.integration.faust_apps.apps import commit, feed, ignoring, new_app, records, running, transport_of, until

from mainstem.api.batch import Batch
from mainstem.model.ids import TopicPartition


async def test_asking_an_agent(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path, reply_create_topic=True)

    @app.agent(app.topic("squares", value_serializer="json"))
    async def square(stream: Any) -> Any:
        async for value in stream:
            yield value * value

    async with running(app):
        async with asyncio.timeout(30):
            assert await square.ask(7) == 49
            assert sorted([value async for value in square.map([1, 2, 3])]) == [1, 4, 9]
            assert await square.join([2, 3]) == [4, 9]


async def test_the_first_ask_of_an_app_that_did_not_declare_its_reply_topic(tmp_path: Path) -> None:
    app = new_app("memory://first-ask", tmp_path)

    @app.agent(app.topic("squares", value_serializer="json"))
    async def square(stream: Any) -> Any:
        async for value in stream:
            yield value * value

    async with running(app), asyncio.timeout(30):
        assert await square.ask(7) == 49


async def test_asking_from_an_app_that_is_only_a_client(broker: str, tmp_path: Path) -> None:
    def app_of(name: str) -> tuple[faust.App, Any]:
        app = new_app(broker, tmp_path / name, reply_create_topic=True)

        @app.agent(app.topic("squares", value_serializer="json"), name="square")
        async def square(stream: Any) -> Any:
            async for value in stream:
                yield value * value

        return app, square

    server, _ = app_of("server")
    client, square = app_of("client")
    async with running(server):
        await client.start_client()
        try:
            async with asyncio.timeout(30):
                assert await square.ask(6) == 36
        finally:
            await client.stop()


async def test_a_client_hears_replies_that_came_before_it_began_to_read(broker: str, tmp_path: Path) -> None:
    """Between its question and its first look at the topic of replies the answer may have come."""
    server = new_app(broker, tmp_path / "server")
    ignoring(server, "nothing")
    client = new_app(broker, tmp_path / "client", reply_to="replies")

    @client.agent(client.topic("nothing"), name="ignored")
    async def ignored(stream: Any) -> None:
        async for _ in stream:
            pass

    async with running(server):
        transport = transport_of(server)
        await transport.create_topic("replies", 1, {})
        producer = transport.producer()
        early = Batch(keys=[b"of somebody else"], values=[b"{}"], timestamps=[1_700_000_000_000])
        await producer.produce(TopicPartition("replies", 0), early)
        await producer.flush()
        await producer.close()
        await client.start_client()
        try:
            asked = asyncio.ensure_future(ignored.ask(1))
            consumer: Any = client.consumer
            await until(lambda: TP("replies", 0) in consumer.deliveries)
            await until(lambda: consumer.deliveries[TP("replies", 0)].origin is not None)
            assert consumer.deliveries[TP("replies", 0)].origin == 0
            asked.cancel()
        finally:
            await client.stop()


async def test_timers_leader_tasks_and_crontabs(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    ticks: list[str] = []

    ignoring(app, "nothing")

    @app.timer(0.05)
    async def every() -> None:
        ticks.append("timer")

    @app.timer(0.05, on_leader=True)
    async def leading() -> None:
        ticks.append("leader")

    @app.task
    async def once() -> None:
        ticks.append("task")

    async with running(app):
        await until(lambda: ticks.count("timer") >= 2 and ticks.count("leader") >= 2)
        assert app.is_leader()
    assert ticks.count("task") == 1


class Listening(faust.Sensor):
    """Counts what Faust promises to tell each sensor."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, int] = {}

    def _tell(self, name: str) -> None:
        self.told[name] = self.told.get(name, 0) + 1

    def on_message_in(self, *args: Any) -> None:
        self._tell("message_in")

    def on_stream_event_in(self, *args: Any) -> Any:
        self._tell("event_in")
        return {"mine": True}

    def on_stream_event_out(self, tp: Any, offset: int, stream: Any, event: Any, state: Any = None) -> None:
        assert state == {"mine": True}
        self._tell("event_out")

    def on_message_out(self, *args: Any) -> None:
        self._tell("message_out")

    def on_table_get(self, *args: Any) -> None:
        self._tell("get")

    def on_table_set(self, *args: Any) -> None:
        self._tell("set")

    def on_send_initiated(self, *args: Any) -> Any:
        self._tell("send")
        return 1

    def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:
        assert state == 1
        self._tell("sent")


async def test_a_sensor_that_is_not_ours_hears_of_everything(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    sensor = Listening()
    app.sensors.add(sensor)
    out = app.topic("out", value_serializer="json")
    table = app.Table("totals", default=int, partitions=2)
    seen = 0

    @app.agent(app.topic("orders", value_serializer="json"))
    async def work(stream: Any) -> None:
        nonlocal seen
        async for order in stream:
            table["k"] += 1
            await out.send(value=order)
            seen += 1

    async with running(app):
        await feed(app, "orders", list(range(300)))
        await until(lambda: seen == 300)
        await app.producer.flush()
    names = ("message_in", "event_in", "event_out", "message_out", "get", "set")
    assert {name: sensor.told[name] for name in names} == dict.fromkeys(names, 300)
    # Each order is sent once, and so is each change of the table; Faust's own leader topic and the like send nothing.
    assert (sensor.told["send"], sensor.told["sent"]) == (600, 600)
    assert app.monitor.events_total == 300
    assert app.monitor.tables["totals"].keys_updated == 300


async def test_the_monitor_counts_without_other_sensors(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    out = app.topic("out", value_serializer="json")
    seen = 0

    @app.agent(app.topic("orders", value_serializer="json"))
    async def work(stream: Any) -> None:
        nonlocal seen
        async for order in stream:
            await out.send(value=order)
            seen += 1

    async with running(app):
        await feed(app, "orders", list(range(300)))
        await until(lambda: seen == 300)
        await commit(app)
        monitor = app.monitor
        assert (monitor.messages_received_total, monitor.events_total, monitor.messages_sent) == (300, 300, 300)
        assert monitor.messages_received_by_topic["orders"] == 300
        assert sum(monitor.tp_committed_offsets.values()) == 300


async def test_plain_functions_send_soon(broker: str, tmp_path: Path) -> None:
    app = new_app(broker, tmp_path)
    out = app.topic("out", value_serializer="json")
    told: list[int] = []

    @app.agent(app.topic("orders", value_serializer="json"))
    async def work(stream: Any) -> None:
        async for order in stream:
            out.send_soon(value=order, callback=lambda fut: told.append(fut.result().offset))

    async with running(app):
        await feed(app, "orders", list(range(50)))
        await until(lambda: len(told) == 50)
        assert sorted(int(value or b"") for _, value in await records(app, "out")) == list(range(50))
        assert max(told) < 50
