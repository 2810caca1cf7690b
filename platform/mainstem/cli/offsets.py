"""`mainstem offsets get|set|reset`: where a stopped pipeline goes on reading its topics."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Mapping, Sequence

from mainstem.api.transport import Transport
from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.output import print_json, tabbed_table
from mainstem.cli.pipeline_tools import broker_flags, with_transport
from mainstem.model.ids import TopicPartition

EXAMPLES = (
    "mainstem offsets get --pipeline totals",
    "mainstem offsets set --pipeline totals --topic orders --partition 0 --offset 1200",
    "mainstem offsets reset --pipeline totals --topic orders --to-datetime 2026-11-26T12:00:00 --broker kafka://localhost:9092",
    "mainstem offsets reset --pipeline totals --topic orders --to-earliest",
)
ACTIONS = ("get", "set", "reset")


def main(arguments: Sequence[str]) -> int:
    options = offsets_parser().read(arguments)
    if options.action == "get":
        return _print(options, with_transport(options, lambda transport: _get(transport, options)))
    moved = with_transport(options, lambda transport: _move(transport, options))
    return _print(options, moved)


def offsets_parser() -> Parser:
    parser = Parser(
        "offsets",
        "Print and move the positions of a pipeline in its topics. It must be stopped to be moved. Its state begins anew then, "
        "because it belongs to the old position.",
        EXAMPLES,
    )
    parser.add_argument("action", metavar="ACTION", choices=ACTIONS, help="get, set or reset")
    parser.value("--pipeline", "NAME", "the pipeline; its name is its consumer group")
    parser.value("--topic", "TOPIC", "the topic; all of the pipeline's for get without this")
    parser.value("--partition", "N", "the partition; all of the topic's for reset without this", kind=int)
    parser.value("--offset", "N", "set: the next offset to read", kind=int)
    parser.value("--to-datetime", "TIME", "reset: the first record of this time or later, ISO 8601, UTC without a zone")
    parser.flag("--to-earliest", "reset: the beginning")
    parser.flag("--to-latest", "reset: the end")
    broker_flags(parser)
    parser.flag("--json", "print JSON")
    return parser


async def _get(transport: Transport, options: argparse.Namespace) -> Mapping[TopicPartition, int]:
    found = await transport.group_offsets(_required(options, "pipeline"))
    return {
        partition: offset
        for partition, offset in sorted(found.items())
        if options.topic in (None, partition.topic) and options.partition in (None, partition.partition)
    }


async def _move(transport: Transport, options: argparse.Namespace) -> Mapping[TopicPartition, int]:
    pipeline, topic = _required(options, "pipeline"), _required(options, "topic")
    ends = await transport.end_offsets(topic)
    wanted = {one for one in ends if options.partition in (None, one.partition)}
    if not wanted:
        raise CommandError(f"topic {topic} has no partition {options.partition}; it has {len(ends)}")
    if options.action == "set":
        if options.offset is None or options.partition is None:
            raise CommandError("set needs --partition and --offset")
        (partition,) = wanted
        start, end = ends[partition]
        if not start <= options.offset <= end:
            raise CommandError(f"{partition} has offsets from {start} to {end}, not {options.offset}")
        moved = {partition: options.offset}
    else:
        moved = await _reset(transport, options, {partition: ends[partition] for partition in sorted(wanted)})
    await transport.set_group_offsets(pipeline, moved)
    return moved


async def _reset(
    transport: Transport, options: argparse.Namespace, ends: Mapping[TopicPartition, tuple[int, int]]
) -> dict[TopicPartition, int]:
    ways = [options.to_datetime is not None, options.to_earliest, options.to_latest]
    if sum(ways) != 1:
        raise CommandError("reset needs one of --to-datetime, --to-earliest and --to-latest")
    if options.to_datetime is not None:
        topic = next(iter(ends)).topic
        found = await transport.offsets_for_time(topic, _timestamp(options.to_datetime))
        return {partition: found[partition] for partition in ends}
    return {partition: start if options.to_earliest else end for partition, (start, end) in ends.items()}


def _timestamp(text: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--to-datetime {text} is no time; write it as 2026-11-26T12:00:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round(moment.timestamp() * 1000)


def _required(options: argparse.Namespace, name: str) -> str:
    value = getattr(options, name)
    if value is None:
        raise CommandError(f"{options.action} needs --{name}")
    return str(value)


def _print(options: argparse.Namespace, offsets: Mapping[TopicPartition, int]) -> int:
    rows = [(partition.topic, partition.partition, offset) for partition, offset in offsets.items()]
    if options.json:
        print_json([{"topic": topic, "partition": number, "offset": offset} for topic, number, offset in rows])
    elif rows:
        print(tabbed_table(("TOPIC", "PARTITION", "OFFSET"), rows))
    else:
        print(f"pipeline {options.pipeline} has committed nothing")
    return 0
