"""A plan as a graph of steps. Nodes are never changed, so two streams share what they have in common as the same objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mainstem.pipeline.plan.steps import MAIN, Step


class Input(NamedTuple):
    """What leaves `node` by `from_port` enters by `to_port`."""

    node: Node
    from_port: str = MAIN
    to_port: str = MAIN


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    step: Step
    inputs: tuple[Input, ...] = ()

    def __repr__(self) -> str:
        return f"Node({self.step.name!r})"


@dataclass(frozen=True, slots=True)
class Graph:
    """All nodes of one pipeline, each behind those that it reads from."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(node.step for node in self.nodes)

    def readers(self, node: Node) -> Iterator[tuple[Node, Input]]:
        """Who reads from a node, and how."""
        for other in self.nodes:
            for entry in other.inputs:
                if entry.node is node:
                    yield other, entry

    def find(self, step_name: str) -> Node:
        return next(node for node in self.nodes if node.step.name == step_name)


def union(parts: Iterable[Sequence[Node]]) -> tuple[Node, ...]:
    """Each node once, in an order that keeps inputs before those that read them."""
    found: dict[int, Node] = {}
    for nodes in parts:
        for node in nodes:
            found.setdefault(id(node), node)
    return tuple(found.values())
