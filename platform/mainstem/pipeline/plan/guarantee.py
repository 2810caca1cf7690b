"""What a plan really guarantees, sink by sink, and why: a run tells it when it starts."""

from __future__ import annotations

from typing import NamedTuple

from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.catalog import Catalog, connector_config, connector_spec
from mainstem.pipeline.plan.graph import Graph

AT_LEAST_ONCE, EXACTLY_ONCE = "at least once", "exactly once"


class Guarantee(NamedTuple):
    """Of one sink, by the name of its step. `level` is one of the two above, `reason` a phrase."""

    sink: str
    level: str
    reason: str

    def __str__(self) -> str:
        return f"{self.sink}: {self.level}, {self.reason}"


def guarantees(
    graph: Graph, catalog: Catalog, *, exactly_once: bool, transport: str, transactions: str | None
) -> list[Guarantee]:
    """`transport` is its name, `transactions` what it says of itself (`TransportTraits`). Raises: PluginError, ConfigError."""
    found = []
    for step in graph.steps:
        if isinstance(step, steps.TopicSink):
            level, reason = _of_topic(exactly_once=exactly_once, transport=transport, transactions=transactions)
            found.append(Guarantee(step.name, level, reason + _repeats(graph, level)))
        elif isinstance(step, steps.ConnectorSink):
            reason = _of_connector(step, catalog, exactly_once=exactly_once)
            found.append(Guarantee(step.name, AT_LEAST_ONCE, reason + _repeats(graph, AT_LEAST_ONCE, exactly_once)))
    return found


def _of_topic(*, exactly_once: bool, transport: str, transactions: str | None) -> tuple[str, str]:
    if exactly_once:
        protocol = {"v1": "KIP-98", "v2": "KIP-890"}.get(transactions or "", "transactions")
        return EXACTLY_ONCE, (
            f"because results, state and positions are one transaction of {transport} ({protocol}); readers need "
            "isolation.level=read_committed"
        )
    if transactions is None:
        return AT_LEAST_ONCE, f"because {transport} has no transactions; a crash may write a result twice"
    return AT_LEAST_ONCE, "because a crash may write a result twice; --exactly-once prevents that"


def _of_connector(step: steps.ConnectorSink, catalog: Catalog, *, exactly_once: bool) -> str:
    spec = connector_spec(catalog, step)
    if spec.is_idempotent(connector_config(spec, step)):
        return f"and once in effect, because {spec.name} replaces what it has when a record is written again"
    outside = ", and it takes no part in the transaction" if exactly_once else ""
    return f"because after a crash {spec.name} may be given a record again{outside}"


def _repeats(graph: Graph, level: str, exactly_once: bool = False) -> str:
    """Behind a repartition topic a crash may have written records twice, and state counts what it reads."""
    if level == EXACTLY_ONCE or exactly_once:
        return ""
    has_moved = any(isinstance(step, steps.KeyBy) for step in graph.steps)
    counts = any(isinstance(step, steps.Aggregation | steps.Window | steps.StatefulMap) for step in graph.steps)
    return "; behind key_by state may count a record twice then" if has_moved and counts else ""
