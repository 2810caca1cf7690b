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
    repeats = "" if exactly_once else _repeats(graph)
    found = []
    for step in graph.steps:
        if isinstance(step, steps.TopicSink):
            level, reason = _of_topic(exactly_once=exactly_once, transport=transport, transactions=transactions)
            found.append(Guarantee(step.name, level, reason + repeats))
        elif isinstance(step, steps.ConnectorSink):
            level, reason = _of_connector(step, catalog, exactly_once=exactly_once)
            found.append(Guarantee(step.name, level, reason + repeats))
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


def _of_connector(step: steps.ConnectorSink, catalog: Catalog, *, exactly_once: bool) -> tuple[str, str]:
    spec = connector_spec(catalog, step)
    config = connector_config(spec, step)
    if spec.has_two_phases(config) and exactly_once:
        return (
            EXACTLY_ONCE,
            f"because {spec.name} shows what it was given when the positions are committed (two phases)",
        )
    if spec.is_idempotent(config):
        return AT_LEAST_ONCE, (
            f"and once in effect, because {spec.name} replaces what it has when a record is written again"
        )
    again = f"because after a crash {spec.name} may be given a record again"
    if spec.has_two_phases(config):
        return AT_LEAST_ONCE, f"{again}; --exactly-once prevents that"
    return AT_LEAST_ONCE, f"{again}, and it takes no part in the transaction" if exactly_once else again


def _repeats(graph: Graph) -> str:
    """Behind a repartition topic a crash may have written records twice, and state counts what it reads."""
    has_moved = any(isinstance(step, steps.KeyBy) for step in graph.steps)
    counts = any(isinstance(step, steps.Aggregation | steps.Window | steps.StatefulMap) for step in graph.steps)
    return "; behind key_by state may count a record twice then" if has_moved and counts else ""
