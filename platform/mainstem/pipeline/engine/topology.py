"""How a plan is cut into sections that can run apart, once it is known how many partitions its topics have.

A section is what lies between topics. Its task number p handles partition p of each topic that it reads, with the state of
the keys in there, in whichever process the consumer group has given these partitions to.

    orders (3) ─ source ─ map ─ key_by ═> p-key_by-repartition (3) ═> aggregate ─ sink
    └── section source, 3 tasks ───────┘                              └ section key_by, 3 tasks, p-key_by-changelog (3)

A `key_by` moves records only if state by key follows and more than one task is involved. A connector's source is one task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mainstem.pipeline.errors import PlanError
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.graph import Graph, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Repartition:
    """The topic through which the records of a `key_by` go. `writers`: tasks of the section in front of it."""

    topic: str
    partitions: int
    writers: int


@dataclass(slots=True, kw_only=True)
class Section:
    """`entries` are where records come in: sources, and moving `key_by` steps seen from behind; both by node.

    `changelog` is None where there is nothing to keep but positions of topics.
    """

    name: str
    tasks: int
    entries: list[Node] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    changelog: str | None = None

    @property
    def topics(self) -> list[str]:
        """Of sources; those of moving steps are in `Topology.repartitions`."""
        return [
            topic for node in self.entries if isinstance(node.step, steps.TopicSource) for topic in node.step.topics
        ]

    @property
    def connector(self) -> steps.ConnectorSource | None:
        found = [node.step for node in self.entries if isinstance(node.step, steps.ConnectorSource)]
        return found[0] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Sections in an order in which each comes behind those that it reads from. `repartitions` by node of the `key_by`."""

    pipeline: str
    sections: tuple[Section, ...]
    repartitions: Mapping[Node, Repartition]

    def section_behind(self, node: Node) -> Section:
        """Where what a moving step writes is read."""
        return next(section for section in self.sections if node in section.entries and node not in section.nodes)


def topics_read(graph: Graph) -> list[str]:
    """Whose partition counts `cut` needs."""
    return [topic for step in graph.steps if isinstance(step, steps.TopicSource) for topic in step.topics]


def cut(graph: Graph, partition_counts: Mapping[str, int]) -> Topology:
    """Raises: PlanError for state by key over topics whose partitions do not match."""
    moving = [node for node in graph.nodes if _wants_to_move(graph, node)]
    while True:
        layout = _Layout(graph, moving, partition_counts)
        idle = next((node for node in moving if layout.is_in_one_place(node)), None)
        if idle is None:
            break
        moving.remove(idle)
    problems = list(layout.problems())
    if problems:
        raise PlanError(graph.name, problems)
    return layout.topology()


def _wants_to_move(graph: Graph, node: Node) -> bool:
    return isinstance(node.step, steps.KeyBy) and node.step.moves and _state_follows(graph, node)


def _state_follows(graph: Graph, node: Node) -> bool:
    """Before the key changes again."""
    waiting = [reader for reader, _ in graph.readers(node)]
    while waiting:
        found = waiting.pop()
        if isinstance(found.step, steps.Stateful):
            return True
        if not isinstance(found.step, steps.KeyBy):
            waiting += [reader for reader, _ in graph.readers(found)]
    return False


class _Layout:
    """Sections as they are if just the nodes of `moving` move."""

    def __init__(self, graph: Graph, moving: Iterable[Node], partition_counts: Mapping[str, int]) -> None:
        self._graph = graph
        self._moving = set(moving)
        self._counts = partition_counts
        self._section_of: dict[Node, int] = {}
        self._behind: dict[Node, int] = {}
        self._parents: list[int] = []
        self._place_nodes()
        self._tasks: dict[int, int] = {}
        self._order = self._in_order()
        for section in self._order:
            self._tasks[section] = self._count(section)

    def _place_nodes(self) -> None:
        for node in self._graph.nodes:
            fed_by = [self._root(self._output(entry.node)) for entry in node.inputs]
            section = fed_by[0] if fed_by else self._new()
            for other in fed_by[1:]:
                self._parents[self._root(other)] = self._root(section)
            self._section_of[node] = section
            if node in self._moving:
                self._behind[node] = self._new()

    def _new(self) -> int:
        self._parents.append(len(self._parents))
        return len(self._parents) - 1

    def _root(self, section: int) -> int:
        while self._parents[section] != section:
            section = self._parents[section]
        return section

    def _output(self, node: Node) -> int:
        return self._behind[node] if node in self._moving else self._section_of[node]

    def _entries(self, section: int) -> Iterator[Node]:
        for node in self._graph.nodes:
            is_source = not node.inputs and self._root(self._section_of[node]) == section
            if is_source or (node in self._moving and self._root(self._behind[node]) == section):
                yield node

    def _in_order(self) -> list[int]:
        """A plan has no circles, so whoever is fed last comes last."""
        waiting = list(dict.fromkeys(self._root(self._output(node)) for node in self._graph.nodes))
        waiting += [self._root(self._section_of[node]) for node in self._moving]
        waiting = list(dict.fromkeys(waiting))
        done: list[int] = []
        while waiting:
            for section in waiting:
                feeders = {
                    self._root(self._section_of[node]) for node in self._entries(section) if node in self._moving
                }
                if feeders <= set(done):
                    break
            else:
                raise AssertionError("sections feed each other in a circle")
            waiting.remove(section)
            done.append(section)
        return done

    def _fixed_counts(self, section: int) -> dict[str, int]:
        """Partition counts that nobody here can choose: of topics, of connectors, and those that a plan demands."""
        found: dict[str, int] = {}
        for node in self._entries(section):
            match node.step:
                case steps.TopicSource(topics=topics):
                    found.update({f"topic {topic}": self._counts[topic] for topic in topics})
                case steps.ConnectorSource(name=name):
                    found[name] = 1
                case steps.KeyBy(name=name, partitions=int(partitions)):
                    found[name] = partitions
        return found

    def _count(self, section: int) -> int:
        fixed = self._fixed_counts(section)
        if fixed:
            return max(fixed.values())
        return max(self._tasks[self._root(self._section_of[node])] for node in self._entries(section))

    def is_in_one_place(self, node: Node) -> bool:
        """Nothing is gained by moving: one task writes, and one would read, which reads nothing from elsewhere that has
        more partitions."""
        front, behind = self._root(self._section_of[node]), self._root(self._behind[node])
        return self._tasks[front] == 1 and self._tasks[behind] == 1

    def problems(self) -> Iterator[str]:
        told_of: set[int] = set()
        for node in self._graph.nodes:
            section = self._root(self._section_of[node])
            if not isinstance(node.step, steps.Stateful) or section in told_of:
                continue
            fixed = self._fixed_counts(section)
            if len(set(fixed.values())) > 1:
                told_of.add(section)
                told = ", ".join(f"{name} has {count}" for name, count in fixed.items())
                yield (
                    f"{node.step.name} needs all records of a key in one place, and the partitions in front of it differ: "
                    f"{told}. Put .key_by(...) before it, with partitions= the larger number, or give the topics equal counts"
                )
        for section in self._order:
            names = [node.step.name for node in self._entries(section) if isinstance(node.step, steps.ConnectorSource)]
            if len(names) > 1:
                yield (
                    f"connectors {', '.join(names)} meet in one section; let each write a topic by a pipeline of its own, "
                    "and read the topics here"
                )

    def topology(self) -> Topology:
        sections = tuple(self._section(section) for section in self._order)
        repartitions = {
            node: Repartition(
                topic=f"{self._graph.name}-{node.step.name}-repartition",
                partitions=self._tasks[self._root(self._behind[node])],
                writers=self._tasks[self._root(self._section_of[node])],
            )
            for node in self._graph.nodes
            if node in self._moving
        }
        return Topology(pipeline=self._graph.name, sections=sections, repartitions=repartitions)

    def _section(self, section: int) -> Section:
        entries = list(self._entries(section))
        nodes = [node for node in self._graph.nodes if self._root(self._section_of[node]) == section]
        keeps = any(isinstance(node.step, steps.Stateful | steps.ConnectorSource) for node in nodes)
        name = entries[0].step.name
        return Section(
            name=name,
            tasks=self._tasks[section],
            entries=entries,
            nodes=nodes,
            changelog=f"{self._graph.name}-{name}-changelog" if keeps else None,
        )
