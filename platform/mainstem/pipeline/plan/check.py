"""Every mistake of a plan that can be found without opening anything, each with what to do about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.spec import configure, nearest
from mainstem.model.errors import ConfigError, PluginError
from mainstem.model.topic import topic_name_problem
from mainstem.pipeline.errors import PlanError
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.catalog import Catalog, connector_config, connector_spec, open_serializer
from mainstem.pipeline.plan.graph import Graph, union
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.policies import Dlq, last_resort
from mainstem.pipeline.plan.steps import ConnectorSink, ConnectorSource, Plugin, TopicSink, TopicSource
from mainstem.pipeline.plan.table import Table
from mainstem.pipeline.plan.windowed import WindowedPipeline
from mainstem.pipeline.plan.windows import CountWindow

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
STARTS = ("earliest", "latest")


def check(pipelines: Sequence[object], catalog: Catalog) -> list[Graph]:
    """What shall run: streams of one name are one pipeline. Raises: PlanError with all problems of the first bad one."""
    streams: dict[str, list[Pipeline[Any]]] = {}
    for pipeline in pipelines:
        if isinstance(pipeline, WindowedPipeline):
            raise PlanError(pipeline.name, ["the window has no aggregate; add .aggregate(n=Count()) say"])
        if isinstance(pipeline, Table):
            pipeline = pipeline.changes()
        if not isinstance(pipeline, Pipeline):
            raise PlanError(repr(pipeline), [f"it is of type {type(pipeline).__name__}, not a Pipeline"])
        streams.setdefault(str(pipeline.name), []).append(pipeline)
    graphs = [Graph(parts[0].name, union([part.graph.nodes for part in parts])) for parts in streams.values()]
    for graph in graphs:
        problems = [*_shape(graph), *_names(graph), *_state(graph)]
        for step in graph.steps:
            problems += _step(step, catalog)
        if problems:
            raise PlanError(graph.name, problems)
    return graphs


def _step(step: steps.Step, catalog: Catalog) -> Iterator[str]:
    policy = last_resort(getattr(step, "on_error", steps.STOP))
    if isinstance(policy, Dlq):
        yield from _written_topic(step.name, policy.topic)
    match step:
        case TopicSource():
            yield from _topic_source(step, catalog)
        case TopicSink():
            yield from _topic_sink(step, catalog)
        case ConnectorSource() | ConnectorSink():
            yield from _connector(step, catalog)
        case steps.KeyBy():
            for side in (step.key, step.value):
                yield from _serializer(step.name, side, catalog)


def _shape(graph: Graph) -> Iterator[str]:
    if not graph.nodes:
        yield 'it is empty; begin with .source("topic") or .source(connector="files", path="...")'
        return
    for node in graph.nodes:
        if not node.inputs and not isinstance(node.step, TopicSource | ConnectorSource):
            yield f"it begins with {node.step.name}; a pipeline begins with .source(...)"
        if any(True for _ in graph.readers(node)) or isinstance(node.step, TopicSink | ConnectorSink | steps.ToTable):
            continue
        yield f"nothing takes what {node.step.name} makes; add a .sink(...) after it"
    yield from _branches(graph)
    read = Counter(topic for step in graph.steps if isinstance(step, TopicSource) for topic in step.topics)
    for step in graph.steps:
        if isinstance(step, TopicSink) and step.topic in read:
            yield f"{step.name} writes to topic {step.topic}, which it also reads: it would never end"
    for topic, count in read.items():
        named = max(step.topics.count(topic) for step in graph.steps if isinstance(step, TopicSource))
        if count > named:
            yield f"topic {topic} is read by {count} sources; read it once and continue that stream in several ways"


def _branches(graph: Graph) -> Iterator[str]:
    """A branch that leads nowhere was forgotten when the streams were given to `run`."""
    for node in graph.nodes:
        if isinstance(node.step, steps.Branch):
            taken = {entry.from_port for _, entry in graph.readers(node)}
            for port in node.step.predicates:
                if taken and port not in taken:
                    yield f"nothing takes what {node.step.name} sends to {port}; give its stream with a .sink(...) to run too"


def _state(graph: Graph) -> Iterator[str]:
    for step in graph.steps:
        if isinstance(step, steps.Deduplicate) and step.within_ms < 1:
            yield f"{step.name}: within must be above 0"
        if isinstance(step, steps.Window) and isinstance(step.window, CountWindow) and step.grace_ms:
            yield f"{step.name}: a window that counts records has no grace; no record is late for it"


def _names(graph: Graph) -> Iterator[str]:
    if not isinstance(graph.name, str) or not _NAME.fullmatch(graph.name):
        yield f"its name {graph.name!r} is not made of up to 200 letters, digits, '.', '_' and '-'"
    for name, count in Counter(step.name for step in graph.steps).items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f"the step name {name!r} is not made of up to 200 letters, digits, '.', '_' and '-'"
        if count > 1:
            yield (
                f"{count} steps are called {name}; give each its own name= (streams of one name are one pipeline: if two "
                "were meant, their pipelines need names of their own)"
            )


def _topic_source(step: TopicSource, catalog: Catalog) -> Iterator[str]:
    if not step.topics:
        yield f'{step.name} names nothing to read; write .source("topic") or .source(connector="files", ...)'
    for topic in step.topics:
        problem = topic_name_problem(topic) if isinstance(topic, str) else f"{topic!r} is no topic name"
        if problem:
            yield f"{step.name}: {problem}"
    for topic, count in Counter(step.topics).items():
        if count > 1:
            yield f"{step.name} names topic {topic} {count} times"
    if step.start not in STARTS:
        yield f"{step.name}: start={step.start!r} is not known; {nearest(str(step.start), STARTS)}"
    for side in (step.key, step.value):
        yield from _serializer(step.name, side, catalog)


def _topic_sink(step: TopicSink, catalog: Catalog) -> Iterator[str]:
    yield from _written_topic(step.name, step.topic)
    if not isinstance(step.partitions, int) or step.partitions < 1:
        yield f"{step.name}: partitions={step.partitions!r} is not a number above 0"
    if not isinstance(step.configs, Mapping) or not all(isinstance(value, str) for value in step.configs.values()):
        yield f"{step.name}: configs={step.configs!r} is not a mapping of names to text, such as retention.ms to '-1'"
    for side in (step.key, step.value):
        yield from _serializer(step.name, side, catalog)
    try:
        spec = catalog.find(PartitionerSpec, step.partitioner.name)
        configure(spec.config, step.partitioner.options, owner=f"partitioner {spec.name}")
    except (PluginError, ConfigError) as error:
        yield f"{step.name}: {error}"


def _written_topic(step_name: str, topic: object) -> Iterator[str]:
    problem = topic_name_problem(topic) if isinstance(topic, str) else f"{topic!r} is no topic name"
    if problem:
        yield f"{step_name}: {problem}"
    elif isinstance(topic, str) and topic.startswith("__"):
        yield f"{step_name}: topics that begin with __ are written by brokers for themselves"


def _serializer(step_name: str, plugin: Plugin | None, catalog: Catalog) -> Iterator[str]:
    """Serializers are opened, because a schema that cannot be read is a mistake of the plan."""
    try:
        open_serializer(catalog, plugin)
    except (PluginError, ConfigError) as error:
        yield f"{step_name}: {error}"


def _connector(step: ConnectorSource | ConnectorSink, catalog: Catalog) -> Iterator[str]:
    side = "source" if isinstance(step, ConnectorSource) else "sink"
    try:
        spec = connector_spec(catalog, step)
        config = connector_config(spec, step)
    except (PluginError, ConfigError) as error:
        yield f"{step.name}: {error}"
        return
    if config is None:
        yield f"{step.name}: connector {spec.name} cannot be a {side}"
