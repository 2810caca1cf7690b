"""One pipeline on simulated topics, with workers that die, sleep and are put out of their group at any step.

Each seed makes records, picks a plan and a guarantee, and says at which steps what happens; the pipeline is started again until
it comes to its end. Then its topic of results is held against what a reader of the input would compute.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainstem.api.batch import Batch
from mainstem.api.context import PluginContext
from mainstem.app.plugins import PluginManager
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.assemble import assemble
from mainstem.pipeline.engine.engine import Engine
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.errors import PipelineError
from mainstem.pipeline.plan.aggregates import Count, Sum
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.windows import Tumbling
from mainstem.pipeline.state.changelog import state_id
from mainstem.testing.conformance.context import plugin_context
from mainstem.testing.crashing_files import CrashingFiles
from mainstem.testing.simulated_sink import SimulatedStore
from mainstem.testing.simulated_state import SimulatedDisk
from mainstem.testing.simulated_transport import SimulatedTopics, SimulatedTransport

WINDOW = 20
DISORDER = 15
KEYS = (b"a", b"b", b"c")
PLANS = ("records", "totals", "windows", "moved-totals", "moved-windows", "sink", "moved-totals-sink")


class Crash(BaseException):
    """The process ends here. Not an Exception: nothing may handle it."""


class Violation(AssertionError):
    """A guarantee that did not hold."""


class ManualClock:
    def __init__(self) -> None:
        self.time_ms = 1_000_000

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms


class Simulation:
    """One seed: its records, its plan, its crashes."""

    def __init__(
        self,
        catalog: PluginManager,
        context: PluginContext,
        clock: ManualClock,
        seed: int,
        *,
        exactly_once: bool,
        kind: str,
    ) -> None:
        self.random = random.Random(seed)
        self.kind = kind
        self.exactly_once = exactly_once
        self._catalog = catalog
        self._clock = clock
        self.topics = SimulatedTopics(seed)
        self._steps_left: dict[int, int] = {}
        self._workers = self.random.choice([1, 1, 2, 3])
        self._partitions = self.random.randrange(1, 4)
        self._batch_records = self.random.randrange(1, 12)
        self._commit_interval_ms = self.random.choice([1, 30, 200])
        self._purge_interval_ms = self.random.choice([1, 100])
        self._moved_partitions = self.random.choice([None, 2])
        self.batches = [self._records() for _ in range(self._partitions)]
        self.topics.create("in", self._partitions)
        for number, batch in enumerate(self.batches):
            self.topics.append(TopicPartition("in", number), batch)
        self.disk = SimulatedDisk() if self.random.random() < 0.5 else None
        self._context = replace(context, files=CrashingFiles())
        self._engines: dict[int, Engine] = {}
        self._stops: set[int] = set()
        self.store = SimulatedStore()

    def _records(self) -> Batch:
        """In the order of their times up to DISORDER, which the window's grace allows."""
        count = self.random.randrange(0, 40)
        times = sorted(self.random.randrange(0, 150) for _ in range(count))
        times.sort(key=lambda time: time + self.random.randrange(0, DISORDER))
        if self.kind == "windows":
            times = [0 if self.random.random() < 0.1 else time for time in times]  # some come much too late
        return Batch(
            keys=[self.random.choice(KEYS) for _ in times],
            values=[b"%d" % self.random.randrange(1, 10**9) for _ in times],
            timestamps=times,
        )

    def _plan(self, worker: int) -> Pipeline[Any]:
        plan: Pipeline[Any] = Pipeline("p").source("in", key="string").map(int)
        if self.kind == "records":
            return plan.sink("out", key="string", value="json", partitions=2)
        store = self.store.spec(lambda name: self._step(worker, name))
        if self.kind == "sink":
            return plan.sink(connector=store)
        if self.kind.startswith("moved"):
            plan = plan.key_by(lambda value: value % 3, partitions=self._moved_partitions)
        if "totals" in self.kind:
            plan = plan.aggregate(n=Count(), total=Sum(int))
        else:
            plan = plan.window(Tumbling(WINDOW), grace=DISORDER).aggregate(n=Count(), total=Sum(int))
        if self.kind.endswith("sink"):
            return plan.sink(connector=store)
        return plan.map_batches(_without_keys).sink("out", value="json", partitions=2, partitioner="round-robin")

    # Lives.

    def run(self) -> None:
        """Crash a few times, then let it come to its end."""
        lives = self.random.randrange(1, 6)
        for life in range(lives + 1):
            self._steps_left = {
                worker: self.random.randrange(1, 150) if life < lives else 10**9 for worker in range(self._workers)
            }
            self._stops = {worker for worker in range(self._workers) if self.random.random() < 0.3}
            if not asyncio.run(self._live(may_evict=life < lives)):
                return
            self.topics.crash()
            self._compact()

    def _compact(self) -> None:
        """Below what the committed state stands on, which is all that the lag of compaction ever lets a cleaner take."""
        for partition, committed in self.topics.group("p").offsets.items():
            known = state_id(committed.metadata)
            section = "key_by" if "repartition" in partition.topic else "source"
            changelog = TopicPartition(f"p-{section}-changelog", partition.partition)
            if known is not None and changelog in self.topics.logs and self.random.random() < 0.5:
                self.topics.compact(changelog, known.base)

    async def _live(self, *, may_evict: bool) -> bool:
        """Until all workers have ended; says whether one of them died, or was stopped. The group notices and the others go on."""
        transports: list[SimulatedTransport] = []
        working = [asyncio.create_task(self._work(number, transports)) for number in range(self._workers)]
        while may_evict and not all(task.done() for task in working):
            await asyncio.sleep(0)
            if self.random.random() < 0.01:
                self._evict(transports)
        return any(await asyncio.gather(*working))

    def _evict(self, transports: list[SimulatedTransport]) -> None:
        members = [one for transport in transports for one in transport.consumers if one.is_member]
        if members:
            self.random.choice(members).evict()

    async def _work(self, number: int, transports: list[SimulatedTransport]) -> bool:
        transport = SimulatedTransport(self.topics, step=lambda name: self._step(number, name))
        transports.append(transport)
        settings = RunSettings(
            once=True,
            exactly_once=self.exactly_once,
            transactional_id=f"p-{number}",
            batch_records=self._batch_records,
            seed=self.random.randrange(1 << 32),
            engine=EngineSettings(
                commit_interval_ms=self._commit_interval_ms, purge_interval_ms=self._purge_interval_ms
            ),
            state=None if self.disk is None else self.disk.spec(),
            state_folder=Path(f"worker-{number}"),
            snapshot_folder=Path(f"worker-{number}"),
        )
        engine = assemble(
            self._plan(number), catalog=self._catalog, transport=transport, context=self._context, settings=settings
        )
        self._engines[number] = engine
        try:
            await engine.open()
            summary = await engine.run()
        except Crash:
            for consumer in transport.consumers:
                await consumer.close()  # the session times out
            return True
        except PipelineError as error:
            raise Violation(f"a worker stopped: {error}") from error
        await engine.close()
        return not summary.is_finished

    def _step(self, worker: int, name: str) -> None:
        self._clock.time_ms += self.random.randrange(0, 20)
        self._steps_left[worker] -= 1
        if self._steps_left[worker] == 0 and worker in self._stops:
            self._engines[worker].stop()
        elif self._steps_left[worker] == 0:
            raise Crash(name)

    # Checks.

    def check(self) -> None:
        if self.kind.endswith("sink"):
            out = self.store.visible
        else:
            out = [msgspec.json.decode(value or b"null") for value in self.topics.values("out")]
        if self.kind in ("records", "sink"):
            self._check_records(out)
        elif "totals" in self.kind:
            self._check_totals(out)
        else:
            self._check_windows(out)

    def _check_records(self, out: list[Any]) -> None:
        expected = Counter(int(value or b"") for batch in self.batches for value in batch.values)
        found = Counter(out)
        if set(expected) - set(found):
            raise Violation(f"{len(set(expected) - set(found))} records were lost")
        if set(found) - set(expected):
            raise Violation("there are records that nobody wrote")
        if self.exactly_once and found != expected:
            raise Violation("records came more than once")

    def _is_late(self, time: int, watermark: int) -> bool:
        return self.kind == "windows" and time // WINDOW * WINDOW + WINDOW + DISORDER <= watermark

    def _groups(self, of: Callable[[Any, int, int, int], Any]) -> Mapping[Any, list[int]]:
        groups: dict[Any, list[int]] = {}
        for partition, batch in enumerate(self.batches):
            watermark = -1
            for key, value, time in zip(batch.keys, batch.values, batch.timestamps, strict=True):
                number = int(value)
                is_late, watermark = self._is_late(time, watermark), max(time, watermark)
                if is_late:
                    continue
                own = number % 3 if self.kind.startswith("moved") else key.decode()
                groups.setdefault(of(own, number, time, partition), []).append(number)
        return groups

    def _check_totals(self, out: list[Any]) -> None:
        is_moved = self.kind.startswith("moved")
        expected = self._groups(lambda key, value, time, partition: key)
        found: dict[Any, list[Any]] = {}
        for result in out:
            found.setdefault(result["key"], []).append(result)
        if found.keys() != expected.keys():
            raise Violation("totals are missing")
        is_exact = self.exactly_once or not is_moved
        for key, values in expected.items():
            last = max(result["total"] for result in found[key])
            if is_moved and last < sum(values):
                raise Violation("a total lacks records")
            if is_moved and is_exact and last != sum(values):
                raise Violation("a total counts records twice")
        if not is_moved:
            self._check_direct_totals(out)
        if self.exactly_once and len(out) != sum(map(len, expected.values())):
            raise Violation("results came more than once, or not at all")

    def _check_direct_totals(self, out: list[Any]) -> None:
        """Without a topic in between state is exact under both guarantees: each result is one of its partition's sums."""
        allowed: dict[Any, set[tuple[int, int]]] = {}
        for batch in self.batches:
            sums: dict[Any, tuple[int, int]] = {}
            for key, value in zip(batch.keys, batch.values, strict=True):
                n, total = sums.get(key, (0, 0))
                sums[key] = (n + 1, total + int(value))
                allowed.setdefault(key.decode(), set()).add(sums[key])
        found: dict[Any, set[tuple[int, int]]] = {}
        for result in out:
            found.setdefault(result["key"], set()).add((result["n"], result["total"]))
        if found != allowed:
            raise Violation("a total is none that its records have, or is missing")

    def _check_windows(self, out: list[Any]) -> None:
        is_moved = self.kind.startswith("moved")
        expected = self._groups(
            lambda key, value, time, partition: (key, time // WINDOW * WINDOW, 0 if is_moved else partition)
        )
        whole = Counter((key, start, len(values), sum(values)) for (key, start, _), values in expected.items())
        found = Counter((one["key"], one["window_start"], one["n"], one["total"]) for one in out)
        if {one[:2] for one in whole} - {one[:2] for one in found}:
            raise Violation("results of windows are missing")
        if is_moved and not self.exactly_once:
            least = {one[:2]: one[2] for one in whole}
            if any(one[2] < least[one[:2]] for one in found):
                raise Violation("a result of a window lacks records")
            return
        if set(found) != set(whole):
            raise Violation("a result of a window was written with a part of its records, or with some twice")
        if self.exactly_once and found != whole:
            raise Violation("a result of a window was written twice")


def _without_keys(batch: Batch) -> Batch:
    return Batch(keys=[None] * len(batch), values=batch.values, timestamps=batch.timestamps)


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="module")
def simulate_one(clock: ManualClock) -> Iterator[Callable[..., None]]:
    catalog = PluginManager()
    with plugin_context(clock, threads=1) as context:

        def run(seed: int, *, exactly_once: bool, kind: str) -> None:
            simulation = Simulation(catalog, context, clock, seed, exactly_once=exactly_once, kind=kind)
            try:
                simulation.run()
                simulation.check()
            except BaseException as error:
                error.add_note(f"seed {seed}, {kind}, {'exactly' if exactly_once else 'at least'} once")
                raise

        yield run


@pytest.fixture
def simulate(simulate_one: Callable[..., None]) -> Callable[..., None]:
    def run(seeds: range, *, exactly_once: bool, kind: str) -> None:
        for seed in seeds:
            simulate_one(seed, exactly_once=exactly_once, kind=kind)

    return run
