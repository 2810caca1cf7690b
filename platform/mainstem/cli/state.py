"""`mainstem state list|dump|reset`: what pipelines keep by key, as their changelogs have it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

from mainstem.api.transport import Transport
from mainstem.app.plugins import PluginManager
from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.output import print_error, print_json, tabbed_table
from mainstem.cli.pipeline_tools import broker_flags, with_transport
from mainstem.cli.scripts import checked, plans_of
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.topology import Topology, cut, topics_read
from mainstem.pipeline.plan.check import check
from mainstem.pipeline.plan.graph import Graph
from mainstem.pipeline.state.changelog import STAMP_BYTES
from mainstem.pipeline.state.encoding import StateCodec, step_of

READ_RECORDS, READ_WAIT_MS, WAITS_MAX = 20_000, 200, 50
ACTIONS = ("list", "dump", "reset")
EXAMPLES = (
    "mainstem state list orders.py",
    "mainstem state dump orders.py --step aggregate --broker kafka://localhost:9092",
    "mainstem state reset orders.py --pipeline totals --execute",
)


class Kept(NamedTuple):
    """An entry of a changelog, the latest of its key."""

    section: str
    task: int
    step: str
    group: int
    key: Any
    value: Any


def main(arguments: Sequence[str]) -> int:
    options = state_parser().read(arguments)
    graphs = check(plans_of(checked(options.script)), PluginManager())
    if options.pipeline is not None:
        graphs = [graph for graph in graphs if graph.name == options.pipeline]
        if not graphs:
            raise CommandError(f"{options.script} has no pipeline {options.pipeline}")
    if options.action == "reset":
        return with_transport(options, lambda transport: _reset(transport, graphs, options))
    kept = with_transport(options, lambda transport: _all_kept(transport, graphs))
    return _list(options, kept) if options.action == "list" else _dump(options, kept)


def state_parser() -> Parser:
    parser = Parser("state", "Look at the state of the pipelines of a script, or let it begin anew.", EXAMPLES)
    parser.add_argument("action", metavar="ACTION", choices=ACTIONS, help="list, dump or reset")
    parser.add_argument("script", metavar="SCRIPT", help="the script; its call of run(...) is not carried out")
    parser.value("--pipeline", "NAME", "which pipeline; all of the script's without this")
    parser.value("--step", "NAME", "dump: which step; all without this")
    parser.flag("--execute", "reset: really delete; without this it only says what would be deleted")
    broker_flags(parser)
    parser.flag("--json", "print JSON")
    return parser


async def _topology(transport: Transport, graph: Graph) -> Topology:
    counts = {}
    for topic in topics_read(graph):
        count = await transport.partition_count(topic)
        if count is None:
            raise CommandError(f"pipeline {graph.name} reads topic {topic}, which does not exist")
        counts[topic] = count
    return cut(graph, counts)


async def _all_kept(transport: Transport, graphs: Sequence[Graph]) -> list[Kept]:
    found: list[Kept] = []
    for graph in graphs:
        for section in (await _topology(transport, graph)).sections:
            if section.changelog is None or await transport.partition_count(section.changelog) is None:
                continue
            for partition, (start, end) in sorted((await transport.end_offsets(section.changelog)).items()):
                found += await _read(transport, section.name, partition, start, end)
    return found


async def _read(transport: Transport, section: str, partition: TopicPartition, offset: int, end: int) -> list[Kept]:
    latest: dict[bytes, bytes] = {}
    waits = 0
    while offset < end and waits < WAITS_MAX:
        one = await transport.read(partition, offset, max_records=READ_RECORDS, max_wait_ms=READ_WAIT_MS)
        for key, value in zip(one.batch.keys, one.batch.values, strict=True):
            if value is None:
                latest.pop(key, None)
            else:
                latest[key] = value[STAMP_BYTES:]
        waits = waits + 1 if one.next_offset == offset else 0
        offset = one.next_offset
    kept = []
    for key, data in latest.items():
        step = step_of(key)
        if step:
            codec = StateCodec(step)
            place = codec.place(key)
            kept.append(Kept(section, partition.partition, step, place.group, place.key, codec.read(place, data)))
    return kept


def _list(options: argparse.Namespace, kept: Sequence[Kept]) -> int:
    counts: dict[tuple[str, int, str], int] = {}
    for one in kept:
        where = (one.section, one.task, one.step)
        counts[where] = counts.get(where, 0) + 1
    rows = [(*where, count) for where, count in sorted(counts.items())]
    if options.json:
        print_json([dict(zip(("section", "task", "step", "entries"), row, strict=True)) for row in rows])
    else:
        print(tabbed_table(("SECTION", "TASK", "STEP", "ENTRIES"), rows) if rows else "no state is kept")
    return 0


def _dump(options: argparse.Namespace, kept: Sequence[Kept]) -> int:
    wanted = [one for one in kept if options.step in (None, one.step)]
    if options.json:
        print_json([one._asdict() for one in wanted])
    else:
        rows = [(one.step, one.task, one.group, f"{one.key!r}", f"{one.value!r}") for one in wanted]
        print(tabbed_table(("STEP", "TASK", "GROUP", "KEY", "VALUE"), rows) if rows else "no state is kept")
    return 0


async def _reset(transport: Transport, graphs: Sequence[Graph], options: argparse.Namespace) -> int:
    """Changelogs and repartition topics go. Positions stay; a position whose state is gone starts without state."""
    for graph in graphs:
        topology = await _topology(transport, graph)
        topics = [section.changelog for section in topology.sections if section.changelog is not None]
        topics += [one.topic for one in topology.repartitions.values()]
        there = [topic for topic in topics if await transport.partition_count(topic) is not None]
        if not options.execute:
            print(f"pipeline {graph.name}: would delete {', '.join(there) or 'nothing'}")
            continue
        offsets = await transport.group_offsets(graph.name)
        read = set(topics_read(graph))
        # Setting an offset forgets which state belonged to it. It is refused while the pipeline runs, so it comes first.
        mine = {partition: offset for partition, offset in offsets.items() if partition.topic in read}
        if mine:
            await transport.set_group_offsets(graph.name, mine)
        for topic in there:
            await transport.delete_topic(topic)
        print(f"pipeline {graph.name}: deleted {', '.join(there) or 'nothing'}")
    if not options.execute:
        print_error("nothing was deleted; --execute does it")
    return 0
