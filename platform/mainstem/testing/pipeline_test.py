"""`PipelineTest`: a plan on the real engine, with topics in memory and a clock that moves only when the test says so.

with PipelineTest(totals) as test:
    test.send("orders", {"customer": "ann", "amount": 5}, key="ann")
    test.send("orders", {"customer": "ann", "amount": 2}, key="ann")
    assert test.values("totals") == [{"key": "ann", "total": 5}, {"key": "ann", "total": 7}]

    test.crash()                     # the process dies; the next line starts it again
    test.crash_at("producer.flush")  # or at a step: see `steps`
    test.rebalance()                 # the group puts the worker out, which begins again from its last checkpoint
    test.advance("1h")               # the wall clock
    assert test.committed("orders") == {0: 2}
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, NamedTuple, Self

from mainstem.api.batch import Batch
from mainstem.api.serde import Serializer
from mainstem.app.plugins import PluginManager
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.engine import Engine
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.errors import PipelineError
from mainstem.pipeline.plan.catalog import open_serializer
from mainstem.pipeline.plan.check import check
from mainstem.pipeline.plan.fields import EPOCH, MILLISECOND
from mainstem.pipeline.plan.steps import TopicSink, TopicSource
from mainstem.pipeline.plan.windows import duration_ms
from mainstem.testing.conformance.context import plugin_context
from mainstem.testing.simulated_transport import SimulatedTopics, SimulatedTransport

START_MS = 1_700_000_000_000
COMMIT_INTERVAL_MS = 100
TURNS_MAX = 20_000
QUIET_TURNS = 12


class Crash(BaseException):
    """The process ends here. Not an Exception: nothing may handle it."""


class Result(NamedTuple):
    """A record of a topic of results."""

    key: Any
    value: Any
    timestamp: int
    partition: int


class _Clock:
    def __init__(self) -> None:
        self.time_ms = START_MS

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms


class PipelineTest:
    """`partitions`: of each topic that is read, 1 where nothing is said. `exactly_once` as `run` takes it.

    Raises: PlanError for a plan that cannot work, PipelineError from whatever call lets the pipeline come upon a record at
    which it stops.
    """

    def __init__(
        self,
        *streams: object,
        partitions: Mapping[str, int] | None = None,
        exactly_once: bool = False,
        seed: int = 0,
        plugins: PluginManager | None = None,
    ) -> None:
        self._catalog = plugins or PluginManager()
        graphs = check(streams, self._catalog)
        if len(graphs) != 1:
            names = ", ".join(graph.name for graph in graphs)
            raise ValueError(f"PipelineTest tests one pipeline at a time, got {names}")
        self._graph = graphs[0]
        self._clock = _Clock()
        self._topics = SimulatedTopics(seed)
        self._seed = seed
        self._exactly_once = exactly_once
        self._stack = ExitStack()
        self._engine: Engine | None = None
        self._running: asyncio.Task[Any] | None = None
        self._transport: SimulatedTransport | None = None
        self._crash_at: str | None = None
        self._next_partition = 0
        self.steps: list[str] = []
        """What the process did since it started last, by the names that `crash_at` takes."""
        for step in self._graph.steps:
            if isinstance(step, TopicSource):
                for topic in step.topics:
                    self._topics.create(topic, (partitions or {}).get(topic, 1))

    def __enter__(self) -> Self:
        self._loop = self._stack.enter_context(asyncio.Runner())
        self._context = self._stack.enter_context(plugin_context(self._clock, threads=1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._engine is not None:
            self._loop.run(self._end())
        self._stack.close()

    # What happens.

    def send(
        self,
        topic: str,
        *values: Any,
        key: Any = None,
        at: int | str | datetime.datetime | None = None,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """Records into a topic that the pipeline reads, through its serializers, and let it take them.

        `at` is their time: ms since 1970, a datetime, ISO 8601 text, or the test's clock. Without `partition` records go by
        their key as Kafka's clients place them.
        """
        keys = self._source(topic).key.dumps_many([key] * len(values))
        batch = Batch(
            keys=keys,
            values=self._source(topic).value.dumps_many(list(values)),
            timestamps=[self._time(at)] * len(values),
            headers=[list(headers)] * len(values) if headers else None,
        )
        number = self._partition(topic, keys[0]) if partition is None else partition
        self._topics.append(TopicPartition(topic, number), batch)
        self.settle()

    def advance(self, time: str | int) -> None:
        """Move the wall clock on, for timers, `Every` and idle splits."""
        self._clock.time_ms += duration_ms(time)
        self.settle()

    def crash(self) -> None:
        """The process dies as it is. Whatever lets the pipeline go on starts it again."""
        if self._engine is not None:
            self._loop.run(self._die())

    def crash_at(self, step: str) -> None:
        """The process dies the next time it comes to this step, and is started again."""
        self._crash_at = step

    def rebalance(self) -> None:
        """The group gives the worker's partitions away while it does not look, and then back to it."""
        self.settle()
        assert self._transport is not None, "it runs"
        for member in self._transport.consumers:
            if member.is_member:
                member.evict()
        self.settle()

    def settle(self) -> None:
        """Let the pipeline do all that it can do now. Raises: PipelineError."""
        for _ in range(TURNS_MAX):
            if not self._loop.run(self._settle()):
                return
        raise AssertionError("the pipeline does not come to rest")

    # What came of it.

    def results(self, topic: str) -> list[Result]:
        """Everything in a topic that the pipeline writes, by partition."""
        self.settle()
        if topic not in self._topics.counts:
            return []
        key, value = self._sink(topic)
        found = []
        for number in range(self._topics.counts[topic]):
            log = self._topics.logs[TopicPartition(topic, number)]
            columns = zip(key.loads_many(log.keys), value.loads_many(log.values), log.timestamps, strict=True)
            found += [Result(*row, number) for row in columns]
        return found

    def values(self, topic: str) -> list[Any]:
        return [one.value for one in self.results(topic)]

    def committed(self, topic: str) -> dict[int, int]:
        """By partition, where the next process would go on."""
        self.settle()
        offsets = self._topics.committed(self._graph.name)
        return {one.partition: offset for one, offset in sorted(offsets.items()) if one.topic == topic}

    @property
    def topics(self) -> SimulatedTopics:
        """All topics with their raw records, internal ones too."""
        return self._topics

    # How it works.

    class _Serde(NamedTuple):
        key: Serializer
        value: Serializer

    def _source(self, topic: str) -> _Serde:
        for step in self._graph.steps:
            if isinstance(step, TopicSource) and topic in step.topics:
                return self._Serde(open_serializer(self._catalog, step.key), open_serializer(self._catalog, step.value))
        raise ValueError(f"pipeline {self._graph.name} does not read topic {topic}")

    def _sink(self, topic: str) -> _Serde:
        for step in self._graph.steps:
            if isinstance(step, TopicSink) and step.topic == topic:
                return self._Serde(open_serializer(self._catalog, step.key), open_serializer(self._catalog, step.value))
        return self._Serde(open_serializer(self._catalog, None), open_serializer(self._catalog, None))

    def _partition(self, topic: str, key: bytes | None) -> int:
        from mainstem.api.partitioner import PartitionerSpec

        count = self._topics.counts[topic]
        if key is None:
            self._next_partition += 1
            return self._next_partition % count
        spec = self._catalog.find(PartitionerSpec, "murmur2")
        return spec.open(spec.config()).partition_many(topic, [key], count)[0]

    def _time(self, at: int | str | datetime.datetime | None) -> int:
        if at is None:
            return self._clock.time_ms
        if isinstance(at, int):
            return at
        moment = datetime.datetime.fromisoformat(at) if isinstance(at, str) else at
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return (moment - EPOCH) // MILLISECOND

    def _step(self, name: str) -> None:
        if not self.steps or self.steps[-1] != name:
            self.steps.append(name)
        if name == self._crash_at:
            self._crash_at = None
            raise Crash(name)

    async def _settle(self) -> bool:
        """True if there may be more to do."""
        if self._running is None:
            await self._start()
        assert self._engine is not None, "it was started"
        assert self._running is not None, "it was started"
        before = self._moved()
        for _ in range(QUIET_TURNS):
            await asyncio.sleep(0)
            if self._running.done():
                await self._ended(self._running)
                return True
        self._clock.time_ms += COMMIT_INTERVAL_MS  # so that checkpoints come
        for _ in range(QUIET_TURNS):
            await asyncio.sleep(0)
            if self._running.done():
                await self._ended(self._running)
                return True
        return self._engine.is_busy or before != self._moved()

    def _moved(self) -> tuple[Any, ...]:
        """Changes whenever anything is written or committed."""
        ends = tuple(self._topics.ends.items())
        group = self._topics.group(self._graph.name)
        return ends, tuple(sorted((str(one), at.offset) for one, at in group.offsets.items()))

    async def _start(self) -> None:
        self.steps = []
        self._transport = SimulatedTransport(self._topics, step=self._step)
        self._engine = Engine(
            self._graph,
            catalog=self._catalog,
            transport=self._transport,
            context=self._context,
            settings=RunSettings(
                exactly_once=self._exactly_once,
                transactional_id="test",
                seed=self._seed,
                engine=EngineSettings(commit_interval_ms=COMMIT_INTERVAL_MS, max_wait_ms=0),
            ),
        )
        self._running = asyncio.create_task(self._run(self._engine))

    @staticmethod
    async def _run(engine: Engine) -> None:
        await engine.open()
        await engine.run()

    async def _ended(self, running: asyncio.Task[Any]) -> None:
        self._running = None
        try:
            running.result()
        except Crash:
            self._topics.crash()
            self._engine = None
        except PipelineError:
            await self._end()
            raise

    async def _die(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        self._topics.crash()
        self._running = self._engine = None

    async def _end(self) -> None:
        if self._engine is not None:
            self._engine.stop()
            if self._running is not None:
                await asyncio.wait([self._running])
            await self._engine.close()
        self._running = self._engine = None
