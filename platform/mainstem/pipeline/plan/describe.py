"""A plan in lines of text: what it reads, does and writes, and what is guaranteed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from mainstem.api.connector import ConnectorSpec
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.fields import Selector
from mainstem.pipeline.plan.steps import Plugin, Step
from mainstem.pipeline.plan.windows import duration_text


def describe(name: str, plan: Sequence[Step]) -> str:
    """`name` is the pipeline's."""
    width = max((len(step.name) for step in plan), default=0)
    lines = [f"pipeline {name}"]
    lines += [f"  {step.name:<{width}}  {_step(step)}" for step in plan]
    lines.append("  every record reaches every sink at least once; after a crash some may come twice")
    return "\n".join(lines)


def _step(step: Step) -> str:
    match step:
        case steps.TopicSource():
            topics = ", ".join(step.topics)
            return f"read topic {topics}{_codecs(step.key, step.value)}{_event_time(step.timestamp)}"
        case steps.ConnectorSource():
            return f"read connector {_connector(step.connector)}{_event_time(step.timestamp)}"
        case steps.Map():
            return f"map {_function(step.function)}"
        case steps.Filter():
            return f"keep what {_function(step.function)} says"
        case steps.FlatMap():
            return f"map each to several by {_function(step.function)}"
        case steps.MapBatches():
            return f"map whole batches by {_function(step.function)}"
        case steps.KeyBy():
            return f"key by {_function(step.function) if step.function else ', '.join(step.fields)}"
        case steps.Window():
            late = f"grace {duration_text(step.grace_ms)}" if step.grace_ms else "no grace"
            computed = ", ".join(f"{name}={aggregate!r}" for name, aggregate in step.aggregates.items())
            return f"{step.window} ({late}): {computed}"
        case steps.TopicSink():
            codecs = _codecs(step.key, step.value)
            return f"write topic {step.topic}{codecs}, partitioner {step.partitioner.name}"
        case steps.ConnectorSink():
            return f"write connector {_connector(step.connector)}"
    assert_never(step)


def _codecs(key: Plugin | None, value: Plugin | None) -> str:
    return "".join(f", {side} {plugin.name}" for side, plugin in (("key", key), ("value", value)) if plugin is not None)


def _event_time(timestamp: Selector | None) -> str:
    if timestamp is None:
        return ""
    return f", event time {timestamp if isinstance(timestamp, str) else _function(timestamp)}"


def _connector(connector: str | ConnectorSpec) -> str:
    return connector if isinstance(connector, str) else connector.name


def _function(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__)).rpartition("<locals>.")[2]
