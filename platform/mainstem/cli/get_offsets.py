"""`mainstem get-offsets`: the flags and the output of Kafka's `kafka-get-offsets.sh`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence

from mainstem.cli.arguments import CommandError, Parser, given
from mainstem.cli.cluster_commands import connected
from mainstem.cli.output import print_error, print_json
from mainstem.client.admin import Admin
from mainstem.client.errors import RefusedError
from mainstem.client.kafka_errors import description
from mainstem.client.offsets import EARLIEST, EARLIEST_LOCAL, LATEST, LATEST_TIERED, MAX_TIMESTAMP, list_offsets
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import INTERNAL_TOPICS

TIMES = {
    "latest": LATEST,
    "earliest": EARLIEST,
    "max-timestamp": MAX_TIMESTAMP,
    "earliest-local": EARLIEST_LOCAL,
    "latest-tiered": LATEST_TIERED,
}
EXAMPLES = (
    "mainstem get-offsets --bootstrap-server localhost:9092 --topic orders",
    "mainstem get-offsets --bootstrap-server localhost:9092 --topic 'orders.*' --time earliest",
    "mainstem get-offsets --bootstrap-server localhost:9092 --topic-partitions orders:0-2,returns:5",
)
Wanted = Callable[[TopicPartition], bool]
_RULE = re.compile(r"([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?")


def main(arguments: Sequence[str]) -> int:
    options = offsets_parser().read(arguments)
    if options.topic_partitions is not None and (given(options, "--topic") or given(options, "--partitions")):
        raise CommandError("Error occurred: --topic-partitions cannot be used with --topic or --partitions")
    timestamp_ms = read_time(options.time)
    wanted = wanted_partitions(options)
    with connected(options) as admin:
        return print_offsets(admin, options, wanted, timestamp_ms)


def offsets_parser() -> Parser:
    parser = Parser("get-offsets", "Print offsets of partitions, one a line: topic:partition:offset.", EXAMPLES)
    parser.connection()
    parser.value("--topic", "TOPIC", "the topics to ask about, a regular expression; all without this")
    parser.value("--partitions", "IDS", "the partitions to ask about, separated by commas; all without this")
    parser.value(
        "--topic-partitions",
        "RULES",
        "topics with partitions, separated by commas: a regular expression, and after a colon 3, 0-2 (without 2), 2- or -2",
    )
    parser.choice(
        "--time",
        "TIME",
        "which offset: a time in milliseconds since 1970, or a name; also -1 to -5",
        tuple(TIMES),
        default="latest",
        is_checked=False,
    )
    parser.flag("--exclude-internal-topics", "leave out the topics of the broker itself")
    parser.flag("--json", "print the offsets as JSON")
    return parser


def read_time(text: str) -> int:
    """Raises: CommandError."""
    if text in TIMES:
        return TIMES[text]
    try:
        return int(text)
    except ValueError:
        names = " / ".join(f"{number} or {name}" for name, number in TIMES.items())
        raise CommandError(
            f"Error occurred: Malformed time argument {text}. Please use {names}, or a specified long format timestamp"
        ) from None


def wanted_partitions(options: argparse.Namespace) -> Wanted:
    """Raises: CommandError."""
    if options.topic_partitions is not None:
        rules = [_rule(text) for text in options.topic_partitions.split(",")]
        return lambda partition: any(rule(partition) for rule in rules)
    pattern = _pattern(options.topic.replace(",", "|") if options.topic else ".*")
    numbers = _numbers(options.partitions)
    return lambda partition: bool(
        pattern.fullmatch(partition.topic) and (numbers is None or partition.partition in numbers)
    )


def _numbers(text: str | None) -> set[int] | None:
    if not text:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise CommandError(
            "Error occurred: --partitions expects a comma separated list of numeric partition ids, but received: "
            + text
        )
    return {int(part) for part in parts}


def _rule(text: str) -> Wanted:
    match = _RULE.fullmatch(text)
    if match is None:
        raise CommandError(f"Error occurred: Invalid rule specification: {text}")
    topic, one, lower, upper = match.groups()
    pattern = _pattern(topic or ".*")
    first = int(one or lower or 0)
    end = first + 1 if one else int(upper) if upper else None
    return lambda partition: bool(
        pattern.fullmatch(partition.topic)
        and first <= partition.partition
        and (end is None or partition.partition < end)
    )


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise CommandError(f"Error occurred: {text} is an invalid regex: {error}") from None


def print_offsets(admin: Admin, options: argparse.Namespace, wanted: Wanted, timestamp_ms: int) -> int:
    found = sorted(
        partition
        for topic in admin.cluster.metadata(None).topics
        if topic.name and not (options.exclude_internal_topics and (topic.is_internal or topic.name in INTERNAL_TOPICS))
        for partition in (TopicPartition(topic.name, each.partition_index) for each in topic.partitions)
        if wanted(partition)
    )
    if not found:
        raise CommandError("Error occurred: Could not match any topic-partitions with the specified filters")
    try:
        offsets = list_offsets(admin.cluster, found, timestamp_ms)
    except RefusedError as error:
        raise CommandError(f"Error occurred: {error.as_java}") from None
    known = {}
    for partition, offset in sorted(offsets.items()):
        if offset.error is not ErrorCode.NONE:
            print_error(
                f"Skip getting offsets for topic-partition {partition} due to error: {description(offset.error)}"
            )
        elif offset.offset >= 0:
            known[partition] = offset.offset
    if options.json:
        print_json([{"topic": at.topic, "partition": at.partition, "offset": known[at]} for at in known])
    else:
        for partition, at_offset in known.items():
            print(f"{partition.topic}:{partition.partition}:{at_offset}")
    return 0
