"""A plan as a picture: Mermaid text for documents, SVG for everything else."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.describe import step_text
from mainstem.pipeline.plan.graph import Graph, Node

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 220, 56, 60, 28, 24
TEXT_MAX = 34
FILLS: Mapping[str, str] = {"source": "#d9f0e3", "sink": "#fde2d0", "state": "#dde6fb", "plain": "#f4f4f4"}


def mermaid(graph: Graph) -> str:
    """`flowchart LR`, as GitHub and most wikis draw it. Steps with state are cylinders."""
    ids = {id(node): f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        opening, closing = _MERMAID_SHAPES[_kind(node)]
        text = f"<b>{_plain(node.step.name)}</b><br/>{_plain(step_text(node.step))}"
        lines.append(f'  {ids[id(node)]}{opening}"{text}"{closing}')
    for node in graph.nodes:
        for entry in node.inputs:
            label = entry.from_port or entry.to_port
            arrow = f"-->|{_plain(label)}|" if label else "-->"
            lines.append(f"  {ids[id(entry.node)]} {arrow} {ids[id(node)]}")
    return "\n".join(lines)


_MERMAID_SHAPES = {"source": ("([", "])"), "sink": ("([", "])"), "state": ("[(", ")]"), "plain": ("[", "]")}


def _kind(node: Node) -> str:
    match node.step:
        case steps.TopicSource() | steps.ConnectorSource():
            return "source"
        case steps.TopicSink() | steps.ConnectorSink():
            return "sink"
    return "state" if isinstance(node.step, steps.Stateful) else "plain"


def _plain(text: str) -> str:
    return escape(text, quote=False).replace('"', "#quot;")


class _Box(NamedTuple):
    x: int
    y: int


def svg(graph: Graph) -> str:
    """Layers from left to right: a step stands right of all that it reads from."""
    boxes = _places(graph)
    width = max((box.x for box in boxes.values()), default=0) + WIDTH + MARGIN
    height = max((box.y for box in boxes.values()), default=0) + HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>pipeline {escape(graph.name)}</title>",
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#666"/></marker></defs>',
    ]
    parts += [
        _line(boxes[id(entry.node)], boxes[id(node)], entry.from_port or entry.to_port)
        for node in graph.nodes
        for entry in node.inputs
    ]
    parts += [_box(node, boxes[id(node)]) for node in graph.nodes]
    return "\n".join([*parts, "</svg>"])


def _places(graph: Graph) -> dict[int, _Box]:
    layers: dict[int, int] = {}
    rows: dict[int, int] = {}
    boxes: dict[int, _Box] = {}
    for node in graph.nodes:
        layer = max((layers[id(entry.node)] + 1 for entry in node.inputs), default=0)
        before = [boxes[id(entry.node)].y for entry in node.inputs]
        row = rows.get(layer, 0)
        wanted = (min(before) - MARGIN) // (HEIGHT + GAP_Y) if before else row
        row = max(row, wanted)
        layers[id(node)], rows[layer] = layer, row + 1
        boxes[id(node)] = _Box(MARGIN + layer * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y))
    return boxes


def _box(node: Node, box: _Box) -> str:
    text = step_text(node.step)
    shown = text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"
    return (
        f'<g><title>{escape(text)}</title><rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="{FILLS[_kind(node)]}" stroke="#888"/>'
        f'<text x="{box.x + 10}" y="{box.y + 22}" font-weight="bold">{escape(node.step.name)}</text>'
        f'<text x="{box.x + 10}" y="{box.y + 42}">{escape(shown)}</text></g>'
    )


def _line(start: _Box, end: _Box, label: str) -> str:
    x1, y1, x2, y2 = start.x + WIDTH, start.y + HEIGHT // 2, end.x, end.y + HEIGHT // 2
    middle = (x1 + x2) // 2
    path = f'<path d="M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}" fill="none" stroke="#666" marker-end="url(#tip)"/>'
    if not label:
        return path
    return f'{path}<text x="{middle}" y="{(y1 + y2) // 2 - 6}" text-anchor="middle" fill="#666">{escape(label)}</text>'
