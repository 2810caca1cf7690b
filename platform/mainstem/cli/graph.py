"""`mainstem graph script.py`: the plans of a script as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mainstem.app.plugins import PluginManager
from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.output import print_json
from mainstem.cli.scripts import checked, plans_of
from mainstem.pipeline.plan.check import check
from mainstem.pipeline.plan.describe import describe, step_text
from mainstem.pipeline.plan.diagram import mermaid, svg
from mainstem.pipeline.plan.graph import Graph

FORMATS = {"mermaid": mermaid, "svg": svg, "text": describe}
EXAMPLES = (
    "mainstem graph orders.py",
    "mainstem graph orders.py --format svg --output orders.svg",
    "mainstem graph orders.py --pipeline totals --format text",
)


def main(arguments: Sequence[str]) -> int:
    options = graph_parser().read(arguments)
    graphs = check(plans_of(checked(options.script)), PluginManager())
    if options.pipeline is not None:
        names = [graph.name for graph in graphs]
        if options.pipeline not in names:
            raise CommandError(f"{options.script} has no pipeline {options.pipeline}; it has {', '.join(names)}")
        graphs = [graph for graph in graphs if graph.name == options.pipeline]
    if options.json:
        print_json([_as_json(graph) for graph in graphs])
        return 0
    if options.format == "svg" and len(graphs) > 1:
        several = ", ".join(graph.name for graph in graphs)
        raise CommandError(f"an SVG shows one pipeline, and {options.script} has {several}; choose with --pipeline")
    text = "\n\n".join(FORMATS[options.format](graph) for graph in graphs)
    if options.output is None:
        print(text)
    else:
        Path(options.output).write_text(text + "\n")
    return 0


def graph_parser() -> Parser:
    parser = Parser("graph", "Draw the plans of a script.", EXAMPLES)
    parser.add_argument("script", metavar="SCRIPT", help="the script; its call of run(...) is not carried out")
    parser.choice("--format", "FORMAT", "mermaid (default), svg or text", tuple(FORMATS), default="mermaid")
    parser.value("--pipeline", "NAME", "which one, where the script has several")
    parser.flag("--json", "print nodes and edges as JSON")
    parser.value("--output", "FILE", "write there instead of to standard output")
    return parser


def _as_json(graph: Graph) -> dict[str, object]:
    edges = [
        {"from": entry.node.step.name, "to": node.step.name, "port": entry.from_port or entry.to_port}
        for node in graph.nodes
        for entry in node.inputs
    ]
    steps = [{"name": step.name, "does": step_text(step)} for step in graph.steps]
    return {"pipeline": graph.name, "steps": steps, "edges": edges}
