"""The graph behind a stream: what it has in common with others, and how a step is put behind it."""

from __future__ import annotations

from collections.abc import Iterable

from mainstem.pipeline.plan.building import Builder
from mainstem.pipeline.plan.describe import describe
from mainstem.pipeline.plan.graph import Graph, Input, Node, union
from mainstem.pipeline.plan.policies import Policy, Stop
from mainstem.pipeline.plan.steps import Step

STOP = Stop()


class Stream:
    """A place in a plan. Never changed: every step makes a new one."""

    __slots__ = ("_entry", "_nodes", "_prefix", "name", "on_error")

    def __init__(self, name: str, *, on_error: Policy | None = None) -> None:
        self.name = name
        self.on_error: Policy = Builder(name).policy("Pipeline", on_error, STOP)
        self._entry: Input | None = None
        self._nodes: tuple[Node, ...] = ()
        self._prefix = ""

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}: {' → '.join(step.name for step in self.steps) or 'empty'})"

    @property
    def graph(self) -> Graph:
        return Graph(self.name, self._nodes)

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.graph.steps

    def describe(self) -> str:
        """The plan in lines of text: one per step, and what is guaranteed."""
        return describe(self.graph)

    # How a plan grows.

    def _required(self, step: str) -> Input:
        if self._entry is None:
            Builder(self.name).refuse(f"{step} needs a stream that has begun, with .source(...)")
        return self._entry

    def _tip(self) -> Node | None:
        return None if self._entry is None else self._entry.node

    def _common(self, step: str, *others: object) -> tuple[Node, ...]:
        for other in others:
            if not isinstance(other, Stream):
                Builder(self.name).refuse(f"{step} takes streams, got {other!r}")
            if other.name != self.name:
                Builder(self.name).refuse(
                    f"{step} takes streams of one pipeline, and this one is of {other.name}: begin both with "
                    f"Pipeline({self.name!r}), or let {other.name} write a topic that this one reads"
                )
        return union([self._nodes, *(other._nodes for other in others if isinstance(other, Stream))])

    def _step_name(self, kind: str, name: str | None, nodes: Iterable[Node] | None = None) -> str:
        return Builder(self.name).step_name(kind, name, self._prefix, self._nodes if nodes is None else nodes)
