"""At least once, whatever crashes when: a seeded simulation ends the process before and after every call it makes.

Each seed makes records, a plan, and points at which the process dies; it is started again until it comes to its end.
Then every record must have reached the sink, and every result of a window that was ever written must be whole. The
simulation earns its trust by planted bugs, which it must find.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from mainstem.pipeline.operators.window_stage import WindowStage

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorSpec, Rejected
from mainstem.api.spec import PluginConfig
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine import assemble as assemble_module
from mainstem.pipeline.engine.engine import Engine
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.memory import MemorySource
from mainstem.pipeline.plan.aggregates import Count, Sum
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.windows import Tumbling
from mainstem.testing.simulated_transport import SimulatedTransport

SEEDS = 150
WINDOW = 20
DISORDER = 15


class Crash(BaseException):
    """The process ends here. Not an Exception: nothing may handle it."""


class DurableList:
    """What a sink holds for good, and the sink of one process that writes to it."""

    def __init__(self, simulation: Simulation) -> None:
        self.values: list[Any] = []
        self._simulation = simulation

    def spec(self) -> ConnectorSpec:
        return ConnectorSpec(
            name="durable", sink_config=PluginConfig, open_sink=lambda config, context: DurableSink(self)
        )

    def step(self, name: str) -> None:
        self._simulation.step(name)

    @property
    def random(self) -> random.Random:
        return self._simulation.random


class DurableSink:
    """Keeps what was flushed; of the rest, a prefix may have arrived when the process dies."""

    def __init__(self, durable: DurableList) -> None:
        self._durable = durable
        self._buffer: list[Any] = []

    async def open(self) -> None:
        self._durable.step("sink.open")

    async def write(self, batch: Batch) -> Sequence[Rejected]:
        self._buffer.extend(batch.values)
        self._step("sink.write")
        return ()

    async def flush(self) -> None:
        self._step("sink.flush")
        self._durable.values.extend(self._buffer)
        self._buffer.clear()
        self._step("sink.flushed")

    async def close(self) -> None:
        self._buffer.clear()

    def _step(self, name: str) -> None:
        try:
            self._durable.step(name)
        except Crash:
            arrived = self._durable.random.randrange(len(self._buffer) + 1)
            self._durable.values.extend(self._buffer[:arrived])
            raise


class CrashingSource(MemorySource):
    def __init__(self, simulation: Simulation, splits: dict[str, Batch]) -> None:
        super().__init__(splits, is_bounded=True)
        self._simulation = simulation

    async def read(self, *arguments: Any, **options: Any) -> Any:
        self._simulation.step("source.read")
        return await super().read(*arguments, **options)

    async def commit(self, positions: Any) -> None:
        self._simulation.step("source.commit")


class Simulation:
    """One seed: its records, its plan, its crashes."""

    def __init__(self, world: Any, seed: int, *, has_window: bool, workers: int = 1) -> None:
        self.world = world
        self.workers = workers
        self.random = random.Random(seed)
        self.has_window = has_window
        self.steps_left = 0
        self.sink = DurableList(self)
        world.topics.random.seed(seed)
        self.splits = [self._records() for _ in range(self.random.randrange(1, 4))]
        self.settings = RunSettings(
            once=True,
            batch_records=self.random.randrange(1, 12),
            engine=EngineSettings(commit_interval_ms=self.random.choice([1, 30, 200])),
        )
        self.plan = self._plan(from_topic=workers > 1 or self.random.random() < 0.6)

    def _records(self) -> Batch:
        """In the order of their times up to DISORDER, which the window's grace allows."""
        count = self.random.randrange(0, 40)
        times = sorted(self.random.randrange(0, 150) for _ in range(count))
        times.sort(key=lambda time: time + self.random.randrange(0, DISORDER))
        return Batch(
            keys=[self.random.choice([b"a", b"b", b"c"]) for _ in times],
            values=[b"%d" % self.random.randrange(1, 10**9) for _ in times],
            timestamps=times,
        )

    def _plan(self, *, from_topic: bool) -> Pipeline[Any]:
        if from_topic:
            self.world.topics.create("in", len(self.splits))
            for number, batch in enumerate(self.splits):
                self.world.topics.append(TopicPartition("in", number), batch)
            plan = Pipeline("p").source("in", key="string")
        else:
            held = {f"split-{number}": batch for number, batch in enumerate(self.splits)}
            for batch in self.splits:
                batch.keys = [key.decode() for key in batch.keys]
            spec = ConnectorSpec(
                name="crashing",
                source_config=PluginConfig,
                open_source=lambda config, context: CrashingSource(self, held),
            )
            plan = Pipeline("p").source(connector=spec)
        if self.has_window:
            windowed = plan.map(int).window(Tumbling(WINDOW), grace=DISORDER)
            plan = windowed.aggregate(n=Count(), total=Sum(int))
        return plan.sink(connector=self.sink.spec())

    def step(self, name: str) -> None:
        self.world.clock.time_ms += self.random.randrange(0, 20)
        self.steps_left -= 1
        if self.steps_left == 0:
            raise Crash(name)

    def run(self) -> None:
        """Crash a few times, then let it come to its end."""
        lives = self.random.randrange(1, 6)
        for life in range(lives + 1):
            self.steps_left = self.random.randrange(1, 60) if life < lives else 10**9
            if not asyncio.run(self._live()):
                return
            self.world.topics.crash()

    async def _live(self) -> bool:
        """Until all workers have ended; says whether one of them died. The group notices and the others go on."""
        deaths = await asyncio.gather(*(self._work() for _ in range(self.workers)))
        return any(deaths)

    async def _work(self) -> bool:
        transport = SimulatedTransport(self.world.topics, step=self.step)
        engine = self.world.engine(self.plan, self.settings, transport)
        try:
            await engine.open()
            await engine.run()
        except Crash:
            for consumer in transport.consumers:
                await consumer.close()  # the session times out
            return True
        await engine.close()
        return False

    def check(self) -> None:
        if self.has_window:
            self._check_windows()
            return
        expected = [value for batch in self.splits for value in batch.values]
        lost = set(expected) - set(self.sink.values)
        assert not lost, f"{len(lost)} records were lost"
        assert set(self.sink.values) <= set(expected), "there are records that nobody wrote"

    def _check_windows(self) -> None:
        expected: dict[tuple[str, int], list[int]] = {}
        for batch in self.splits:
            for key, value, time in zip(batch.keys, batch.values, batch.timestamps, strict=True):
                where = (key if isinstance(key, str) else key.decode(), time // WINDOW * WINDOW)
                expected.setdefault(where, []).append(int(value))
        written: dict[tuple[str, int], set[tuple[int, int]]] = {}
        for result in self.sink.values:
            where = (result["key"], result["window_start"])
            written.setdefault(where, set()).add((result["n"], result["total"]))
        whole = {where: {(len(values), sum(values))} for where, values in expected.items()}
        assert written.keys() == whole.keys(), "results are missing"
        assert written == whole, "a result was written with a part of its records"


def simulate(new_world: Any, seeds: range, *, has_window: bool, workers: int = 1) -> None:
    for seed in seeds:
        simulation = Simulation(new_world(), seed, has_window=has_window, workers=workers)
        try:
            simulation.run()
            simulation.check()
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("has_window", [False, True], ids=["records", "windows"])
def test_nothing_is_lost_whenever_the_process_dies(new_world, has_window):
    simulate(new_world, range(SEEDS), has_window=has_window)


def test_nothing_is_lost_when_workers_share_partitions_and_die(new_world):
    simulate(new_world, range(SEEDS), has_window=False, workers=3)


# Planted bugs. Each must be found within the seeds that the true engine survives.


class CommitsBeforeFlush(Engine):
    async def _checkpoint(self) -> None:
        outputs, self._outputs = self._outputs, []
        await super()._checkpoint()
        for stage in outputs:
            await stage.output.flush()
        self._outputs = outputs


class CommitsWhatOpenWindowsHold(Engine):
    def _committable(self) -> dict[str, Any]:
        super()._committable()
        return dict(self._positions)


class ForgetsTheWatermark(Engine):
    async def _store_watermark(self, window: WindowStage) -> None:
        pass


class CommitsAfterAnError(Engine):
    async def run(self) -> Any:
        try:
            return await super().run()
        except BaseException:
            self._committed = dict(self._positions)
            await self._input.commit(self._committed)
            raise


class RevokesWithoutFlush(Engine):
    async def revoked(self, splits: Sequence[str]) -> None:
        await self._input.commit({split: at for split, at in self._positions.items() if at is not None})
        await self.lost(splits)


@pytest.mark.parametrize(
    ("bug", "has_window", "workers"),
    [
        (CommitsBeforeFlush, False, 1),
        (CommitsBeforeFlush, True, 1),
        (CommitsBeforeFlush, False, 3),
        (CommitsWhatOpenWindowsHold, True, 1),
        (ForgetsTheWatermark, True, 1),
        (CommitsAfterAnError, False, 1),
        (RevokesWithoutFlush, False, 3),
    ],
)
def test_the_simulation_finds_planted_bugs(new_world, monkeypatch, bug, has_window, workers):
    monkeypatch.setattr(assemble_module, "Engine", bug)
    with pytest.raises(AssertionError, match=r"lost|missing|a part of its records"):
        simulate(new_world, range(SEEDS), has_window=has_window, workers=workers)
