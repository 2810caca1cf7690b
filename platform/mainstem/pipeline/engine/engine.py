"""Runs one pipeline: opens what it needs, waits for its topics, cuts the plan into sections, and lets a worker work.

The parts, from the outside in: a `Worker` reads and makes checkpoints; `Membership` has the tasks that the consumer group gave
it; a `Task` is a section of the plan on one partition with its state; `Stage`s do what the steps say.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.spec import configure
from mainstem.api.state import TaskState
from mainstem.api.transport import Transport
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.checkpoints import Checkpoints
from mainstem.pipeline.engine.connector_reader import ConnectorReader, reason_of
from mainstem.pipeline.engine.counters import PipelineCounters
from mainstem.pipeline.engine.dead_letters import DeadLetters
from mainstem.pipeline.engine.finishing import Finishing
from mainstem.pipeline.engine.internal_serde import MessagePack
from mainstem.pipeline.engine.membership import Membership, Place
from mainstem.pipeline.engine.producing import AtLeastOnce, ExactlyOnce, WorkerProducer
from mainstem.pipeline.engine.purging import Purging
from mainstem.pipeline.engine.reports import Reports
from mainstem.pipeline.engine.routes import RepartitionRoute, Route
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.sink_tokens import TwoPhaseSinks
from mainstem.pipeline.engine.snapshots import Snapshots
from mainstem.pipeline.engine.stage_factory import StageFactory, dead_letter_topics, may_wait, open_outputs
from mainstem.pipeline.engine.stages import Guarded, StoppedAt
from mainstem.pipeline.engine.task import Task, TaskId
from mainstem.pipeline.engine.task_factory import TaskFactory
from mainstem.pipeline.engine.topology import Section, Topology, cut
from mainstem.pipeline.engine.worker import Worker, WorkerParts
from mainstem.pipeline.errors import PipelineError, PlanError
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.catalog import Catalog, connector_config, connector_spec, open_serializer
from mainstem.pipeline.plan.graph import Graph

CHANGELOG_CONFIGS: Mapping[str, str] = {
    "cleanup.policy": "compact",
    # Entries that do not count lie at the end of the log; compaction must leave what they hide until the next
    # owner has repaired it.
    "min.compaction.lag.ms": "86400000",
    "delete.retention.ms": "86400000",
}
WAIT_FOR_TOPIC_MS = 200


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. `written` is records per sink; `is_finished` is False if it was stopped before its
    end.
    """

    pipeline: str
    records_read: int
    written: dict[str, int]
    late: int
    elapsed_ms: int
    is_finished: bool


class Engine:
    """One pipeline on one loop, for one run. Opened, run and closed in this order."""

    def __init__(
        self, graph: Graph, *, catalog: Catalog, transport: Transport, context: PluginContext, settings: RunSettings
    ) -> None:
        self.pipeline = graph.name
        self.counters = PipelineCounters(graph.name)
        self._graph = graph
        self._catalog = catalog
        self._transport = transport
        self._context = context
        self._settings = settings
        self._clock = context.clock
        self._reports = Reports(context.log, graph.name)
        self._random = random.Random(settings.seed)
        self._producer: WorkerProducer = (
            ExactlyOnce(transport, settings.transactional_id or f"{graph.name}-{self._random.getrandbits(64):016x}")
            if settings.exactly_once
            else AtLeastOnce(transport)
        )
        self._dead_letters = DeadLetters(transport, graph.name, lambda: self._producer)
        self._outputs = open_outputs(graph, catalog, transport, context, self._producer)
        self._worker: Worker | None = None
        self._consumer: Any = None
        self._is_stopping = False
        self.counters.source_stages = [
            step.name for step in graph.steps if isinstance(step, steps.TopicSource | steps.ConnectorSource)
        ]

    async def open(self) -> None:
        """Open sinks, which creates their topics. Raises: PipelineError."""
        await self._guard("producer", self._producer.open())
        for name, topic in self._outputs.topics.items():
            await self._guard(name, topic.open())
        for name, connector in self._outputs.connectors.items():
            await self._guard(name, connector.open())
        await self._guard("dead letters", self._dead_letters.open(dead_letter_topics(self._graph)))

    @property
    def is_busy(self) -> bool:
        """It begins, restores state, or has records in hand."""
        return self._worker is None or self._worker.is_busy

    @property
    def tasks(self) -> list[Task]:
        """Those that this worker has and whose state is there."""
        return [] if self._worker is None else self._worker.tasks

    def stop(self) -> None:
        """End the run after the batches in hand, with a checkpoint."""
        self._is_stopping = True
        if self._worker is not None:
            self._worker.is_stopping = True

    async def run(self) -> Summary:
        """Until the source has ended or `stop` was called. Raises: PlanError, PipelineError; nothing was acknowledged
        then.
        """
        started_ms = self._clock.monotonic_ms()
        try:
            counts = await self._wait_for_topics()
            if counts is not None:
                self._worker = await self._make_worker(counts)
                self._worker.is_stopping = self._is_stopping
                await self._worker.start()
                await self._worker.run()
        except PipelineError:
            raise
        except StoppedAt as stopped:
            failure = stopped.failure
            raise self._error(stopped.stage, stopped.place, str(failure)) from (failure.cause or failure)
        except PlanError:
            raise
        except Exception as error:  # a transport may be a stranger's; the run ends with what it said
            raise self._error(self.counters.source_stages[0], "", reason_of(error)) from error
        return Summary(
            pipeline=self.pipeline,
            records_read=self.counters.records_read,
            written={
                step.name: self.counters.stage(step.name).total_out
                for step in self._graph.steps
                if isinstance(step, steps.TopicSink | steps.ConnectorSink)
            },
            late=self.counters.late,
            elapsed_ms=self._clock.monotonic_ms() - started_ms,
            is_finished=self._worker is not None and self._worker.is_finished,
        )

    async def close(self) -> None:
        """Release everything; what was not checkpointed will be read again. Raises: the first that could not
        be closed.
        """
        self.stop()
        closing: list[Awaitable[Any]] = [] if self._worker is None else [self._worker.close()]
        if self._consumer is not None:
            closing.append(self._consumer.close())
        closing += [self._outputs.close(), self._producer.close()]
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    # From the plan to a worker.

    async def _wait_for_topics(self) -> dict[str, int] | None:
        """Partition counts. One topic that is missing is an error for a single run, and waited for by an endless one:
        programs that write and read a topic may start in any order. None if it was stopped meanwhile."""
        counts: dict[str, int] = {}
        told: set[str] = set()
        for step in self._graph.steps:
            if not isinstance(step, steps.TopicSource):
                continue
            for topic in step.topics:
                while (count := await self._ask(step.name, self._transport.partition_count(topic))) is None:
                    if self._settings.once:
                        reason = f"topic {topic} does not exist; create it, or start what writes to it first"
                        raise self._error(step.name, "", reason)
                    if topic not in told:
                        told.add(topic)
                        self._reports.waits_for_topic(topic)
                    await asyncio.sleep(WAIT_FOR_TOPIC_MS / 1000)
                    if self._is_stopping:
                        return None
                counts[topic] = count
        return counts

    async def _make_worker(self, counts: Mapping[str, int]) -> Worker:
        topology = cut(self._graph, counts)
        stages = StageFactory(
            self._graph,
            topology,
            self._outputs,
            catalog=self._catalog,
            transport=self._transport,
            context=self._context,
            producer=self._producer,
            counters=self.counters,
            dead_letters=self._dead_letters,
            sleep_ms=_sleep_ms,
        )
        await self._guard("repartition topics", stages.open_repartitions())
        await self._create_changelogs(topology)
        routes = self._routes(topology, stages)
        places = _Places(topology, routes)
        finishing = Finishing(
            topology, self._transport, once=self._settings.once, make_reader=lambda task: self._reader(task, stages)
        )
        await finishing.open()
        snapshots = self._snapshots()
        factory = TaskFactory(topology, stages, self._clock, self._open_state(), snapshots)
        from_latest = any(isinstance(step, steps.TopicSource) and step.start == "latest" for step in self._graph.steps)
        self._consumer = self._transport.consumer(self.pipeline, from_latest=from_latest)

        async def leaving(going: Any) -> None:
            await worker.leaving(going)

        async def lost(gone: Any) -> None:
            await worker.lost(gone)

        two_phase = TwoPhaseSinks(self._outputs.two_phase)
        membership = Membership(
            self._transport,
            places.find,
            factory,
            leaving,
            lost,
            two_phase,
            lambda: self._random.getrandbits(63),
            self._clock,
            self._reports,
        )
        parts = WorkerParts(
            transport=self._transport,
            consumer=self._consumer,
            producer=self._producer,
            membership=membership,
            checkpoints=Checkpoints(self._producer, self._outputs.flushed, two_phase, self._clock),
            readers=factory.readers,
            places=routes,
            finishing=finishing,
            purging=self._purging(topology),
            two_phase=two_phase,
            snapshots=snapshots,
            waits=frozenset(section.name for section in topology.sections if may_wait(section)),
            counters=self.counters,
            reports=self._reports,
            clock=self._clock,
            settings=self._settings.engine,
            max_records=self._settings.batch_records,
        )
        worker = Worker(parts, [*routes, *places.leases])
        return worker

    def _open_state(self) -> Callable[[TaskId], TaskState] | None:
        """How tasks get their place on disk; None: state is in memory."""
        settings = self._settings
        if settings.state is None:
            return None
        spec, folder = settings.state, settings.state_folder / self.pipeline
        config = configure(spec.config, {}, owner=f"state {spec.name}")
        return lambda task_id: spec.open(config, self._context, folder / task_id.section / str(task_id.number))

    def _purging(self, topology: Topology) -> Purging:
        topics = [one.topic for one in topology.repartitions.values()]
        interval_ms = self._settings.engine.purge_interval_ms
        return Purging(self._transport, topics, self._clock, self._context.log, interval_ms=interval_ms)

    def _snapshots(self) -> Snapshots | None:
        """Of state in memory, where the settings name a folder for them."""
        settings = self._settings
        if settings.state is not None or settings.snapshot_folder is None or not self._transport.traits.is_durable:
            return None
        return Snapshots(settings.snapshot_folder / self.pipeline, self._transport, self._context)

    async def _create_changelogs(self, topology: Topology) -> None:
        for section in topology.sections:
            if section.changelog is not None:
                work = self._transport.create_topic(section.changelog, section.tasks, CHANGELOG_CONFIGS)
                await self._guard(section.name, work)
                count = await self._ask(section.name, self._transport.partition_count(section.changelog))
                if count != section.tasks:
                    raise self._error(
                        section.name,
                        "",
                        f"its topics have {section.tasks} partitions, and its state lies in {section.changelog} by {count}: "
                        "partitions were added. `mainstem state reset` begins anew without state",
                    )

    def _routes(self, topology: Topology, stages: StageFactory) -> dict[str, Route]:
        routes: dict[str, Route] = {}
        for section in topology.sections:
            for node in section.entries:
                step = node.step
                decoder = Guarded(step.name, stages.guard(step))
                if isinstance(step, steps.TopicSource):
                    for topic in step.topics:
                        routes[topic] = Route(
                            topic,
                            section.name,
                            step.name,
                            decoder,
                            key=open_serializer(self._catalog, step.key),
                            value=open_serializer(self._catalog, step.value),
                            timestamp=step.timestamp,
                        )
                        routes[topic].from_latest = step.start == "latest"
                elif isinstance(step, steps.KeyBy):
                    repartition = topology.repartitions[node]
                    key, value = step.key, step.value
                    made = RepartitionRoute(
                        repartition.topic,
                        section.name,
                        step.name,
                        decoder,
                        key=MessagePack(is_key=True) if key is None else open_serializer(self._catalog, key),
                        value=MessagePack(is_key=False) if value is None else open_serializer(self._catalog, value),
                        timestamp=None,
                    )
                    made.writers = repartition.writers
                    routes[repartition.topic] = made
        return routes

    def _reader(self, task: Task, stages: StageFactory) -> ConnectorReader:
        step = task.section.connector
        assert step is not None, "asked for sections that begin with a connector"
        spec = connector_spec(self._catalog, step)
        assert spec.open_source is not None, "checked"
        return ConnectorReader(
            spec.open_source(connector_config(spec, step), self._context),
            task,
            stage=Guarded(step.name, stages.guard(step)),
            timestamp=step.timestamp,
            once=self._settings.once,
            max_records=self._settings.batch_records,
        )

    async def _ask(self, stage: str, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except Exception as error:  # a transport may be a stranger's; the run ends with the stage
            raise self._error(stage, "", reason_of(error)) from error

    async def _guard(self, stage: str, work: Awaitable[None]) -> None:
        await self._ask(stage, work)

    def _error(self, stage: str, place: str, reason: str) -> PipelineError:
        return PipelineError(self.pipeline, stage, place, reason)


class _Places:
    """Which task a partition belongs to."""

    def __init__(self, topology: Topology, routes: Mapping[str, Route]) -> None:
        self._routes = routes
        self.leases: dict[str, Section] = {
            section.changelog: section
            for section in topology.sections
            if section.connector is not None and section.changelog is not None
        }

    def find(self, partition: TopicPartition) -> Place | None:
        route = self._routes.get(partition.topic)
        if route is not None:
            return Place(TaskId(route.section, partition.partition), route)
        section = self.leases.get(partition.topic)
        return None if section is None else Place(TaskId(section.name, partition.partition), None)


async def _sleep_ms(wait_ms: int) -> None:
    await asyncio.sleep(wait_ms / 1000)
