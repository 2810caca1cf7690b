"""Several workers of one pipeline on a cluster, over sockets: ours, or the one MAINSTEM_TEST_BOOTSTRAP names."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import Producer

from mainstem.api.context import PluginContext
from mainstem.api.spec import configure
from mainstem.api.transport import Transport
from mainstem.app.plugins import PluginManager
from mainstem.pipeline.engine.assemble import assemble
from mainstem.pipeline.engine.engine import Engine
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.memory import empty_batch, memory_sink
from mainstem.pipeline.plan.aggregates import Count
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.windows import Tumbling
from mainstem.testing.conformance.context import plugin_context
from mainstem_plugins.transport_kafka import KafkaConfig, mainstem_register_transports

[SPEC] = mainstem_register_transports()
IMPATIENT = {"heartbeat.interval.ms": "50", "fetch.wait.max.ms": "50", "session.timeout.ms": "6000"}
SETTINGS = RunSettings(batch_records=50, engine=EngineSettings(commit_interval_ms=100, max_wait_ms=50))
DEADLINE_S = 60


class Cluster:
    def __init__(self, context: PluginContext, transport: Transport, bootstrap: str) -> None:
        self._context = context
        self._transport = transport
        self._catalog = PluginManager()
        self._producer = Producer({"bootstrap.servers": bootstrap})

    def produce(
        self, topic: str, partition: int, values: range, *, timestamp_of: Callable[[int], int] = lambda n: n
    ) -> None:
        for value in values:
            self._producer.produce(
                topic, b"%d" % value, partition=partition, timestamp=1_700_000_000_000 + timestamp_of(value)
            )
        assert self._producer.flush(30) == 0

    @asynccontextmanager
    async def worker(self, plan: Pipeline[Any]) -> AsyncIterator[tuple[Engine, asyncio.Task[Any]]]:
        engine = assemble(
            plan, catalog=self._catalog, transport=self._transport, context=self._context, settings=SETTINGS
        )
        await engine.open()
        running = asyncio.create_task(engine.run())
        try:
            yield engine, running
        finally:
            engine.stop()
            await asyncio.wait([running])
            await engine.close()


@pytest.fixture
async def cluster(bootstrap: str) -> AsyncIterator[Cluster]:
    with plugin_context(threads=8) as context:
        config = configure(KafkaConfig, {"properties": IMPATIENT}, owner="transport kafka")
        transport = SPEC.open(config, context, bootstrap, None)
        await transport.open()
        yield Cluster(context, transport, bootstrap)
        await transport.close()


async def until(holds: Callable[[], bool], what: str) -> None:
    """Threads and a broker do the work; this looks again and again, and gives up at a deadline."""
    ends = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < ends, f"after {DEADLINE_S} s still not: {what}"
        await asyncio.sleep(0.02)


async def test_workers_share_partitions_and_take_over_what_another_leaves(cluster, new_topic, fresh_name):
    topic, out = new_topic(4), empty_batch()
    plan = Pipeline(fresh_name()).source(topic).map(int).sink(connector=memory_sink(out))
    for partition in range(4):
        cluster.produce(topic, partition, range(partition * 100, partition * 100 + 50))
    async with cluster.worker(plan) as (_, first):
        await until(lambda: len(out) >= 200, "the first worker reads everything")
        async with cluster.worker(plan) as (second, _):
            await until(lambda: len(second.counters.lag) == 2, "the second worker has two partitions")
            for partition in range(4):
                cluster.produce(topic, partition, range(partition * 100 + 50, partition * 100 + 80))
            await until(lambda: len(set(out.values)) == 320, "both read what comes")
            assert second.counters.records_read > 0
        for partition in range(4):
            cluster.produce(topic, partition, range(partition * 100 + 80, partition * 100 + 100))
        await until(lambda: len(set(out.values)) == 400, "the first worker has everything again")
        assert not first.done()
    assert sorted(out.values) == list(range(400)), "a clean hand-over repeats nothing"


async def test_windows_move_with_their_state_when_workers_come_and_go(cluster, new_topic, fresh_name):
    """Records of a key meet wherever they were read; each window is told once, with all of its records."""
    topic, out = new_topic(2), empty_batch()
    plan = (
        Pipeline(fresh_name())
        .source(topic)
        .map(int)
        .key_by(lambda value: value % 5, field="rest")
        .window(Tumbling(100), grace=1_000)
        .aggregate(n=Count())
        .sink(connector=memory_sink(out))
    )
    for partition in range(2):
        cluster.produce(topic, partition, range(600))
    async with cluster.worker(plan) as (first, running):
        await until(lambda: first.counters.records_read >= 1_200, "the first worker reads everything")
        async with cluster.worker(plan) as (second, other):
            await until(lambda: bool(second.counters.lag), "the second worker has partitions")
            for partition in range(2):
                cluster.produce(topic, partition, range(600, 1_600))
            await until(lambda: len(out) >= 25, "both tell windows")
            assert second.counters.records_read > 0
            assert not other.done()
        for partition in range(2):
            cluster.produce(topic, partition, range(1_600, 2_500))
        await until(lambda: len(out) >= 70, "the first worker goes on with what the second had")
        assert not running.done()
    told = Counter(
        ((value["window_start"] - 1_700_000_000_000) // 100, value["rest"], value["n"]) for value in out.values
    )
    assert set(told.values()) == {1}, "told once"
    assert {key[:2] for key in told} >= {(start, rest) for start in range(14) for rest in range(5)}
    assert {key[2] for key in told} == {40}, "with all of its records"
