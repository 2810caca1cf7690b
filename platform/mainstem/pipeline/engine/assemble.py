"""From a plan to an engine: the only place that knows which step becomes which object."""

from __future__ import annotations

from dataclasses import dataclass, field

from mainstem.api.context import PluginContext
from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.spec import configure
from mainstem.api.transport import Transport
from mainstem.pipeline.engine.counters import PipelineCounters
from mainstem.pipeline.engine.engine import Chain, Engine, EngineSettings, OperatorStage, OutputStage, Stage
from mainstem.pipeline.engine.input_connector import ConnectorInput
from mainstem.pipeline.engine.input_topic import TopicInput
from mainstem.pipeline.engine.inputs import Input
from mainstem.pipeline.engine.outputs import ConnectorOutput, Output, TopicOutput
from mainstem.pipeline.engine.positions import Positions
from mainstem.pipeline.operators.stateless import open_operator
from mainstem.pipeline.operators.window_stage import WindowStage
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.catalog import Catalog, connector_config, connector_spec, open_serializer
from mainstem.pipeline.plan.check import check


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """`once`: read what is there now and end, also where more could come. `batch_records`: at most so many
    at a time.
    """

    once: bool = False
    batch_records: int = 5_000
    engine: EngineSettings = field(default_factory=EngineSettings)


def assemble(
    pipeline: object,
    *,
    catalog: Catalog,
    transport: Transport,
    context: PluginContext,
    settings: RunSettings,
) -> Engine:
    """Everything is made and nothing is opened. Raises: PlanError with all mistakes of the plan."""
    plan = check(pipeline, catalog)
    counters = PipelineCounters(plan.name)
    source = plan.steps[0]
    assert isinstance(source, steps.TopicSource | steps.ConnectorSource), "checked"
    has_window = any(isinstance(step, steps.Window) for step in plan.steps)
    needs_store = has_window or isinstance(source, steps.ConnectorSource)
    positions = Positions(transport, plan.name, context.clock) if needs_store else None
    counters.source_stage = source.name
    return Engine(
        plan.name,
        source=_input(source, plan.name, has_window, positions, catalog, transport, context, settings),
        source_stage=source.name,
        chain=_chain(plan.steps[1:], counters, catalog, transport, context),
        positions=positions,
        counters=counters,
        clock=context.clock,
        settings=settings.engine,
    )


def _input(
    step: steps.Source,
    group_id: str,
    has_window: bool,
    positions: Positions | None,
    catalog: Catalog,
    transport: Transport,
    context: PluginContext,
    settings: RunSettings,
) -> Input:
    if isinstance(step, steps.TopicSource):
        return TopicInput(
            transport,
            group_id=group_id,
            topics=step.topics,
            key=open_serializer(catalog, step.key),
            value=open_serializer(catalog, step.value),
            timestamp=step.timestamp,
            from_latest=step.start == "latest",
            once=settings.once,
            needs_all=has_window,
            max_records=settings.batch_records,
            log=context.log,
        )
    spec = connector_spec(catalog, step)
    config = connector_config(spec, step)
    assert spec.open_source is not None, "checked"
    assert positions is not None, "a connector's source has a store"
    return ConnectorInput(
        spec.open_source(config, context),
        positions,
        stage=step.name,
        timestamp=step.timestamp,
        once=settings.once,
        max_records=settings.batch_records,
    )


def _chain(
    plan_steps: tuple[steps.Step, ...],
    counters: PipelineCounters,
    catalog: Catalog,
    transport: Transport,
    context: PluginContext,
) -> Chain:
    head: list[Stage] = []
    tail: list[Stage] = []
    window: WindowStage | None = None
    for step in plan_steps:
        if isinstance(step, steps.Window):
            counters.window_stage = step.name
            window = WindowStage(step, counters)
            continue
        stage: Stage
        if isinstance(step, steps.TopicSink | steps.ConnectorSink):
            output = _output(step, catalog, transport, context)
            stage = OutputStage(name=step.name, output=output, counters=counters.stage(step.name))
        else:
            assert not isinstance(step, steps.TopicSource | steps.ConnectorSource), "checked"
            operator = open_operator(step)
            stage = OperatorStage(name=step.name, operator=operator, counters=counters.stage(step.name))
        (head if window is None else tail).append(stage)
    return Chain(head=head, window=window, tail=tail)


def _output(step: steps.Sink, catalog: Catalog, transport: Transport, context: PluginContext) -> Output:
    if isinstance(step, steps.TopicSink):
        spec = catalog.find(PartitionerSpec, step.partitioner.name)
        config = configure(spec.config, step.partitioner.options, owner=f"partitioner {spec.name}")
        return TopicOutput(
            transport,
            step.topic,
            key=open_serializer(catalog, step.key),
            value=open_serializer(catalog, step.value),
            partitioner=spec.open(config),
            partitions=step.partitions,
            configs=step.configs,
        )
    connector = connector_spec(catalog, step)
    assert connector.open_sink is not None, "checked"
    return ConnectorOutput(connector.open_sink(connector_config(connector, step), context))
