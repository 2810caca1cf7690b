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
from mainstem.pipeline.plan.catalog import Catalog, connector_config, connector_spec, open_serializer
from mainstem.pipeline.plan.pipeline import Pipeline, WindowedPipeline
from mainstem.pipeline.plan.steps import ConnectorSink, ConnectorSource, Plugin, TopicSink, TopicSource

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
STARTS = ("earliest", "latest")


def check(pipeline: object, catalog: Catalog) -> Pipeline[Any]:
    """The pipeline itself. Raises: PlanError with all problems."""
    if isinstance(pipeline, WindowedPipeline):
        raise PlanError(pipeline.name, ["the window has no aggregate; add .aggregate(n=Count()) say"])
    if not isinstance(pipeline, Pipeline):
        raise PlanError(repr(pipeline), [f"it is of type {type(pipeline).__name__}, not a Pipeline"])
    problems = [*_shape(pipeline), *_names(pipeline)]
    for step in pipeline.steps:
        if isinstance(step, TopicSource):
            problems += _topic_source(step, catalog)
        elif isinstance(step, TopicSink):
            problems += _topic_sink(step, catalog)
        elif isinstance(step, ConnectorSource | ConnectorSink):
            problems += _connector(step, catalog)
    if problems:
        raise PlanError(pipeline.name, problems)
    return pipeline


def check_together(pipelines: Sequence[Pipeline[Any]]) -> None:
    """Names are consumer groups and keys of positions, so two pipelines that run together must not share one.

    Raises: PlanError.
    """
    for name, count in Counter(pipeline.name for pipeline in pipelines).items():
        if count > 1:
            raise PlanError(
                name, [f"{count} pipelines have this name; it is their consumer group, so give each its own"]
            )


def _shape(pipeline: Pipeline[Any]) -> Iterator[str]:
    steps = pipeline.steps
    if not steps:
        yield 'it is empty; begin with .source("topic") or .source(connector="files", path="...")'
        return
    sources = [step for step in steps if isinstance(step, TopicSource | ConnectorSource)]
    if not isinstance(steps[0], TopicSource | ConnectorSource):
        yield f"it begins with {steps[0].name}; a pipeline begins with .source(...)"
    if len(sources) > 1:
        yield (
            f"it has {len(sources)} sources; one source may name several topics, "
            "and another source is another pipeline into the same topic"
        )
    sinks = [step for step in steps if isinstance(step, TopicSink | ConnectorSink)]
    if not sinks:
        yield 'it has no sink, so nobody would see its results; add .sink("topic") or .sink(connector=...)'
    elif steps[-1] is not sinks[-1]:
        yield f"nothing takes what {steps[-1].name} makes; add a .sink(...) after it"
    read = {topic for step in sources if isinstance(step, TopicSource) for topic in step.topics}
    for sink in sinks:
        if isinstance(sink, TopicSink) and sink.topic in read:
            yield f"{sink.name} writes to topic {sink.topic}, which it also reads: it would never end"


def _names(pipeline: Pipeline[Any]) -> Iterator[str]:
    if not isinstance(pipeline.name, str) or not _NAME.fullmatch(pipeline.name):
        yield f"its name {pipeline.name!r} is not made of up to 200 letters, digits, '.', '_' and '-'"
    for name, count in Counter(step.name for step in pipeline.steps).items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f"the step name {name!r} is not made of up to 200 letters, digits, '.', '_' and '-'"
        if count > 1:
            yield f"{count} steps are called {name}; give each its own name="


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
    problem = topic_name_problem(step.topic) if isinstance(step.topic, str) else f"{step.topic!r} is no topic name"
    if problem:
        yield f"{step.name}: {problem}"
    elif step.topic.startswith("__"):
        yield f"{step.name}: topics that begin with __ are written by brokers and pipelines for themselves"
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
