"""Pipelines on simulated topics, with a clock that only moves when somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.app.plugins import PluginManager
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.assemble import assemble
from mainstem.pipeline.engine.engine import Engine, Summary
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.testing.conformance.context import plugin_context
from mainstem.testing.simulated_transport import SimulatedTopics, SimulatedTransport


class ManualClock:
    def __init__(self) -> None:
        self.time_ms = 1_000_000

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms


class World:
    """Topics, a clock, and pipelines that run on them to their end."""

    def __init__(self, context: PluginContext, clock: ManualClock, catalog: PluginManager) -> None:
        self.context = context
        self.clock = clock
        self.catalog = catalog
        self.topics = SimulatedTopics()
        self.transport = SimulatedTransport(self.topics)

    def fill(self, topic: str, *partitions: list[Any], keys: Any = None, timestamps: Any = None) -> None:
        """One list of values per partition; keys and timestamps in the same form, or None."""
        self.topics.create(topic, len(partitions))
        for number, values in enumerate(partitions):
            batch = Batch(
                keys=list(keys[number]) if keys else [None] * len(values),
                values=list(values),
                timestamps=list(timestamps[number]) if timestamps else [0] * len(values),
            )
            self.topics.append(TopicPartition(topic, number), batch)

    def engine(self, plan: object, settings: RunSettings | None = None, transport: Any = None) -> Engine:
        return assemble(
            plan,
            catalog=self.catalog,
            transport=transport or self.transport,
            context=self.context,
            settings=settings or RunSettings(once=True),
        )

    async def run(self, plan: object, settings: RunSettings | None = None) -> Summary:
        engine = self.engine(plan, settings)
        try:
            await engine.open()
            return await engine.run()
        finally:
            await engine.close()


@pytest.fixture(scope="session")
def catalog() -> PluginManager:
    return PluginManager()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def context(clock: ManualClock) -> Iterator[PluginContext]:
    with plugin_context(clock, threads=1) as context:
        yield context


@pytest.fixture
def world(context: PluginContext, clock: ManualClock, catalog: PluginManager) -> World:
    return World(context, clock, catalog)


@pytest.fixture
def new_world(clock: ManualClock, catalog: PluginManager, context: PluginContext) -> Callable[[], World]:
    return lambda: World(context, clock, catalog)
