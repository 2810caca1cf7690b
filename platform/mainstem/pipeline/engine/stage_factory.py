"""From the steps of a plan to the stages of tasks: the only place that knows which step becomes which object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mainstem.api.context import PluginContext
from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.spec import configure
from mainstem.api.transport import Transport
from mainstem.pipeline.engine.checkpoints import Flushed
from mainstem.pipeline.engine.counters import PipelineCounters
from mainstem.pipeline.engine.dead_letters import DeadLetters
from mainstem.pipeline.engine.error_policy import Guard, Sleep
from mainstem.pipeline.engine.internal_serde import MessagePack
from mainstem.pipeline.engine.outputs import ConnectorOutput, TopicOutput, TwoPhaseOutput
from mainstem.pipeline.engine.producing import WorkerProducer
from mainstem.pipeline.engine.repartitioning import REPARTITION_CONFIGS, RepartitionStage
from mainstem.pipeline.engine.stages import (
    BranchStage,
    EntryStage,
    Follower,
    KeyByStage,
    MapBatchesStage,
    MergeStage,
    PerRecordStage,
    Stage,
)
from mainstem.pipeline.engine.stateful_stage import StatefulStage
from mainstem.pipeline.engine.task import TaskStages
from mainstem.pipeline.engine.topology import Section, Topology
from mainstem.pipeline.engine.waiting_stages import AsyncMapStage, ConnectorStage, TopicStage
from mainstem.pipeline.operators.open_stateful import open_stateful
from mainstem.pipeline.operators.stateless import open_per_record
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.catalog import Catalog, connector_config, connector_spec, open_serializer
from mainstem.pipeline.plan.graph import Graph, Node
from mainstem.pipeline.plan.policies import Dlq, Retry, last_resort
from mainstem.pipeline.plan.steps import MAIN

IDLE_AFTER_MS = 30_000


@dataclass(slots=True)
class Outputs:
    """Of one worker, shared by all of its tasks. `flushed` are connectors that flush by themselves."""

    topics: dict[str, TopicOutput] = field(default_factory=dict)
    connectors: dict[str, ConnectorOutput] = field(default_factory=dict)
    repartitions: dict[str, TopicOutput] = field(default_factory=dict)

    @property
    def flushed(self) -> list[Flushed]:
        return [one for one in self.connectors.values() if not isinstance(one, TwoPhaseOutput)]

    @property
    def two_phase(self) -> list[TwoPhaseOutput]:
        return [one for one in self.connectors.values() if isinstance(one, TwoPhaseOutput)]

    async def open(self) -> None:
        for topic in self.topics.values():
            await topic.open()
        for connector in self.connectors.values():
            await connector.open()

    async def close(self) -> None:
        for output in self.connectors.values():
            await output.close()


def open_outputs(
    graph: Graph, catalog: Catalog, transport: Transport, context: PluginContext, producer: WorkerProducer
) -> Outputs:
    """Sinks have their two phases where the producer's commits are atomic; elsewhere they flush."""
    outputs = Outputs()
    for step in graph.steps:
        if isinstance(step, steps.TopicSink):
            spec = catalog.find(PartitionerSpec, step.partitioner.name)
            config = configure(spec.config, step.partitioner.options, owner=f"partitioner {spec.name}")
            outputs.topics[step.name] = TopicOutput(
                transport,
                step.topic,
                key=open_serializer(catalog, step.key),
                value=open_serializer(catalog, step.value),
                partitioner=spec.open(config),
                partitions=step.partitions,
                configs=step.configs,
                producer=producer,
            )
        elif isinstance(step, steps.ConnectorSink):
            connector = connector_spec(catalog, step)
            assert connector.open_sink is not None, "checked"
            chosen = connector_config(connector, step)
            sink: Any = connector.open_sink(chosen, context)
            kind = TwoPhaseOutput if producer.is_atomic and connector.has_two_phases(chosen) else ConnectorOutput
            outputs.connectors[step.name] = kind(step.name, sink)
    return outputs


class StageFactory:
    """For one worker, once the topology is known."""

    def __init__(
        self,
        graph: Graph,
        topology: Topology,
        outputs: Outputs,
        *,
        catalog: Catalog,
        transport: Transport,
        context: PluginContext,
        producer: WorkerProducer,
        counters: PipelineCounters,
        dead_letters: DeadLetters,
        sleep_ms: Sleep,
    ) -> None:
        self._graph = graph
        self._topology = topology
        self._outputs = outputs
        self._catalog = catalog
        self._transport = transport
        self._context = context
        self._producer = producer
        self._counters = counters
        self._dead_letters = dead_letters
        self._sleep_ms = sleep_ms
        for node, repartition in topology.repartitions.items():
            outputs.repartitions[node.step.name] = self._repartition_output(
                node, repartition.topic, repartition.partitions
            )

    def _repartition_output(self, node: Node, topic: str, partitions: int) -> TopicOutput:
        step = node.step
        assert isinstance(step, steps.KeyBy), "only keys move records"
        spec = self._catalog.find(PartitionerSpec, "murmur2")
        return TopicOutput(
            self._transport,
            topic,
            key=MessagePack(is_key=True) if step.key is None else open_serializer(self._catalog, step.key),
            value=MessagePack(is_key=False) if step.value is None else open_serializer(self._catalog, step.value),
            partitioner=spec.open(configure(spec.config, {}, owner="partitioner murmur2")),
            partitions=partitions,
            configs=REPARTITION_CONFIGS,
            producer=self._producer,
        )

    async def open_repartitions(self) -> None:
        for output in self._outputs.repartitions.values():
            await output.open()

    def guard(self, step: steps.Step) -> Guard:
        return Guard(
            step.name,
            getattr(step, "on_error", steps.STOP),
            pipeline=self._graph.name,
            counters=self._counters.stage(step.name),
            dead_letters=self._dead_letters,
            sleep_ms=self._sleep_ms,
            log=self._context.log,
        )

    def stages(self, section: Section) -> TaskStages:
        """Made anew for each task: followers differ where steps have state."""
        made: dict[Node, Stage] = {}
        delays: dict[Node, int] = {}
        entries: dict[str, EntryStage] = {}
        for node in section.entries:
            if node not in section.nodes:
                entry = EntryStage(node.step.name, self._counters.stage(f"{node.step.name}-read"))
                entries[node.step.name] = entry
        stateful: list[StatefulStage] = []
        repartitions: list[RepartitionStage] = []
        for node in section.nodes:
            delay = max((delays.get(entry.node, 0) for entry in node.inputs), default=0)
            stage = made[node] = self._stage(node, delay)
            delays[node] = delay
            if isinstance(stage, EntryStage):
                entries[node.step.name] = stage
            if isinstance(stage, StatefulStage):
                stateful.append(stage)
                delays[node] = delay + stage.operator.delay_ms
            if node in self._topology.repartitions:
                repartitions.append(self._repartition_stage(node, delay, stage))
            for entry_ in node.inputs:
                behind = entries[entry_.node.step.name] if entry_.node not in made else made[entry_.node]
                behind.followers.setdefault(entry_.from_port, []).append(Follower(stage, entry_.to_port))
        return TaskStages(entries, stateful, repartitions, _idle_after_ms(section))

    def _repartition_stage(self, node: Node, delay: int, key_by: Stage) -> RepartitionStage:
        name = f"{node.step.name}-repartition"
        stage = RepartitionStage(
            name,
            self._counters.stage(name),
            self.guard(node.step),
            self._outputs.repartitions[node.step.name],
            producer=self._producer,
            clock=self._context.clock,
            delay_ms=delay,
        )
        key_by.followers.setdefault(MAIN, []).append(Follower(stage, MAIN))
        return stage

    def _stage(self, node: Node, delay: int) -> Stage:
        step = node.step
        counters, guard = self._counters.stage(step.name), self.guard(step)
        match step:
            case steps.TopicSource() | steps.ConnectorSource():
                return EntryStage(step.name, counters)
            case steps.Merge():
                return MergeStage(step.name, counters)
            case steps.KeyBy():
                return KeyByStage(step.name, counters, guard, open_per_record(step), step)
            case steps.Map() | steps.Filter() | steps.FlatMap():
                return PerRecordStage(step.name, counters, guard, open_per_record(step))
            case steps.AsyncMap():
                return AsyncMapStage(step.name, counters, guard, step)
            case steps.MapBatches():
                return MapBatchesStage(step.name, counters, guard, step)
            case steps.Branch():
                return BranchStage(step.name, counters, guard, step)
            case steps.TopicSink():
                return TopicStage(step.name, counters, guard, self._outputs.topics[step.name])
            case steps.ConnectorSink():
                output = self._outputs.connectors[step.name]
                return ConnectorStage(step.name, counters, guard, output, self._sleep_ms)
            case _:
                return StatefulStage(step.name, counters, guard, open_stateful(step), delay)


def _idle_after_ms(section: Section) -> int:
    found = [node.step.idle_after_ms for node in section.nodes if isinstance(node.step, steps.Window)]
    return min(found, default=IDLE_AFTER_MS)


def may_wait(section: Section) -> bool:
    """A task of it may wait for long, so that it must not hold up the others."""
    return any(
        isinstance(node.step, steps.AsyncMap | steps.ConnectorSink | steps.MapBatches)
        or isinstance(getattr(node.step, "on_error", None), Retry)
        for node in section.nodes
    )


def dead_letter_topics(graph: Graph) -> set[str]:
    policies = [last_resort(getattr(step, "on_error", steps.STOP)) for step in graph.steps]
    return {policy.topic for policy in policies if isinstance(policy, Dlq)}


def stores_of(section: Section) -> Mapping[str, steps.Stateful]:
    """The steps of a section that keep state, by name."""
    return {node.step.name: node.step for node in section.nodes if isinstance(node.step, steps.Stateful)}
