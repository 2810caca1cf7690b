"""A plan in lines of text: what it reads, does and writes, and what is guaranteed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from mainstem.api.connector import ConnectorSpec
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.aggregates import Aggregate
from mainstem.pipeline.plan.fields import Selector
from mainstem.pipeline.plan.graph import Graph, Input, Node
from mainstem.pipeline.plan.policies import Dlq, Policy, Retry, Skip, Stop
from mainstem.pipeline.plan.steps import Emit, Plugin, Step
from mainstem.pipeline.plan.windows import duration_text

GUARANTEE = "every record reaches every sink at least once; topics exactly once with --exactly-once"


def describe(graph: Graph) -> str:
    """Steps in order; where one does not follow the line above it, what it reads from is said."""
    width = max((len(step.name) for step in graph.steps), default=0)
    lines = [f"pipeline {graph.name}"]
    above: Node | None = None
    for node in graph.nodes:
        follows = len(node.inputs) == 1 and node.inputs[0].node is above and node.inputs[0].from_port == steps.MAIN
        origin = "" if follows or not node.inputs else f" (from {', '.join(_origin(entry) for entry in node.inputs)})"
        lines.append(f"  {node.step.name:<{width}}  {step_text(node.step)}{origin}{_policy(node.step)}")
        above = node
    lines.append(f"  {GUARANTEE}")
    return "\n".join(lines)


def _origin(entry: Input) -> str:
    return entry.node.step.name + (f", {entry.from_port}" if entry.from_port else "")


def step_text(step: Step) -> str:
    """What a step does, in a few words."""
    match step:
        case steps.TopicSource() | steps.ConnectorSource() | steps.TopicSink() | steps.ConnectorSink():
            return _endpoint(step)
        case steps.TableJoin() | steps.TableTableJoin() | steps.AsOfJoin() | steps.IntervalJoin() | steps.WindowJoin():
            return _join(step)
        case steps.Deduplicate() | steps.StatefulMap() | steps.Aggregation() | steps.Window() | steps.ToTable():
            return _stateful(step)
        case steps.Map():
            return f"map {_function(step.function)}"
        case steps.AsyncMap():
            order = "" if step.is_ordered else ", in any order"
            return f"map async {_function(step.function)}, {step.max_in_flight} in flight{order}"
        case steps.Filter():
            return f"keep what {_function(step.function)} says"
        case steps.FlatMap():
            return f"map each to several by {_function(step.function)}"
        case steps.MapBatches():
            return f"map whole batches by {_function(step.function)}"
        case steps.KeyBy():
            return f"key by {_function(step.function) if step.function else ', '.join(step.fields)}"
        case steps.Branch():
            return f"branch into {', '.join(step.predicates)}"
        case steps.Merge():
            return "merge"
    assert_never(step)


def _endpoint(step: steps.Source | steps.Sink) -> str:
    match step:
        case steps.TopicSource():
            topics = ", ".join(step.topics)
            return f"read topic {topics}{_codecs(step.key, step.value)}{_event_time(step.timestamp)}"
        case steps.ConnectorSource():
            return f"read connector {_connector(step.connector)}{_event_time(step.timestamp)}"
        case steps.TopicSink():
            codecs = _codecs(step.key, step.value)
            return f"write topic {step.topic}{codecs}, partitioner {step.partitioner.name}"
        case steps.ConnectorSink():
            return f"write connector {_connector(step.connector)}"
    assert_never(step)


def _stateful(step: steps.Deduplicate | steps.StatefulMap | steps.Aggregation | steps.Window | steps.ToTable) -> str:
    match step:
        case steps.Deduplicate():
            by = "" if step.selector is None else f" and {_selector(step.selector)}"
            return f"first of each key{by} within {duration_text(step.within_ms)}"
        case steps.StatefulMap():
            return f"map {_function(step.function)} with the state of each key, {_function(step.state_type)}"
        case steps.Aggregation():
            return f"over all time{_emit(step.emit)}: {_aggregates(step.aggregates)}"
        case steps.Window():
            late = f"grace {duration_text(step.grace_ms)}" if step.grace_ms else "no grace"
            return f"{step.window} ({late}){_emit(step.emit)}: {_aggregates(step.aggregates)}"
        case steps.ToTable():
            return "table of the latest value of each key"
    assert_never(step)


def _join(step: steps.Join) -> str:
    by = f"{step.kind} join by {_function(step.function)}"
    match step:
        case steps.TableJoin():
            return f"{by} with table {step.table}"
        case steps.TableTableJoin():
            return f"{by} of tables {step.left_table} and {step.right_table}"
        case steps.AsOfJoin():
            return f"{by} with the newest at most {duration_text(step.within_ms)} older"
        case steps.IntervalJoin():
            return f"{by} with what is {duration_text(step.before_ms)} older to {duration_text(step.after_ms)} younger"
        case steps.WindowJoin():
            return f"{by} within {step.window}"
    assert_never(step)


def _policy(step: Step) -> str:
    policy = getattr(step, "on_error", steps.STOP)
    return "" if isinstance(policy, Stop) else f"; on error {policy_text(policy)}"


def policy_text(policy: Policy) -> str:
    match policy:
        case Stop():
            return "stop"
        case Skip():
            return "skip"
        case Dlq():
            return f"to {policy.topic}"
        case Retry():
            return f"retry {policy.times} times, then {policy_text(policy.then)}"
    assert_never(policy)


def _emit(emit: Emit) -> str:
    if emit == "final":
        return ""
    return ", each update" if emit == "update" else f", every {duration_text(emit.every_ms)}"


def _aggregates(aggregates: Mapping[str, Aggregate]) -> str:
    return ", ".join(f"{name}={aggregate!r}" for name, aggregate in aggregates.items())


def _selector(selector: Selector) -> str:
    return selector if isinstance(selector, str) else _function(selector)


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
