"""`mainstem validate script.py`: are the plans of a script sound? Nothing is started; with --broker topics are looked at too."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.api.transport import Transport
from mainstem.app.plugins import PluginManager
from mainstem.cli.arguments import Parser
from mainstem.cli.output import print_json
from mainstem.cli.pipeline_tools import broker_flags, with_transport
from mainstem.cli.scripts import checked, plans_of
from mainstem.pipeline.engine.topology import Topology, cut, topics_read
from mainstem.pipeline.plan.check import check
from mainstem.pipeline.plan.describe import describe
from mainstem.pipeline.plan.graph import Graph

EXAMPLES = (
    "mainstem validate orders.py",
    "mainstem validate orders.py --broker kafka://localhost:9092",
)


def main(arguments: Sequence[str]) -> int:
    options = validate_parser().read(arguments)
    graphs = check(plans_of(checked(options.script)), PluginManager())
    topologies: dict[str, Topology | list[str]] = {}
    if options.broker:
        topologies = with_transport(options, lambda transport: _topologies(graphs, transport))
    if options.json:
        print_json([_as_json(graph, topologies.get(graph.name)) for graph in graphs])
        return 0
    for graph in graphs:
        print(describe(graph))
        for line in _lines(topologies.get(graph.name)):
            print(f"  {line}")
    return 0


def validate_parser() -> Parser:
    parser = Parser("validate", "Check the plans of a script without starting anything.", EXAMPLES)
    parser.add_argument("script", metavar="SCRIPT", help="the script; its call of run(...) is not carried out")
    broker_flags(parser)
    parser.flag("--json", "print JSON")
    return parser


async def _topologies(graphs: Sequence[Graph], transport: Transport) -> dict[str, Topology | list[str]]:
    """Of each pipeline its sections, or the topics that are missing. Raises: PlanError, TransportError."""
    found: dict[str, Topology | list[str]] = {}
    for graph in graphs:
        counts = {topic: await transport.partition_count(topic) for topic in topics_read(graph)}
        missing = [topic for topic, count in counts.items() if count is None]
        if missing:
            found[graph.name] = missing
        else:
            found[graph.name] = cut(graph, {topic: count or 0 for topic, count in counts.items()})
    return found


def _lines(topology: Topology | list[str] | None) -> list[str]:
    if topology is None:
        return []
    if isinstance(topology, list):
        return [f"topic {topic} does not exist yet; the pipeline will wait for it" for topic in topology]
    lines = [
        f"section {section.name}: {section.tasks} tasks"
        + (f", state in {section.changelog}" if section.changelog else "")
        for section in topology.sections
    ]
    lines += [f"records move through {one.topic} ({one.partitions})" for one in topology.repartitions.values()]
    return lines


def _as_json(graph: Graph, topology: Topology | list[str] | None) -> dict[str, object]:
    made: dict[str, object] = {"pipeline": graph.name, "steps": [step.name for step in graph.steps]}
    if isinstance(topology, list):
        made["missing_topics"] = topology
    elif topology is not None:
        made["sections"] = [
            {"section": one.name, "tasks": one.tasks, "changelog": one.changelog} for one in topology.sections
        ]
        made["repartition_topics"] = {one.topic: one.partitions for one in topology.repartitions.values()}
    return made
