"""`mainstem leader-election`: the flags and the output of Kafka's `kafka-leader-election.sh`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mainstem.cli.arguments import CommandError, Parser, given
from mainstem.cli.cluster_commands import connected
from mainstem.cli.json_files import number_of, objects, read_object, text_of
from mainstem.cli.output import print_json
from mainstem.client.partition_moves import ELECTIONS, Outcome, elect_leaders
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

SCOPES = ("--topic", "--all-topic-partitions", "--path-to-json-file")
EXAMPLES = (
    "mainstem leader-election --bootstrap-server localhost:9092 --election-type preferred --all-topic-partitions",
    "mainstem leader-election --bootstrap-server localhost:9092 --election-type preferred --topic orders --partition 0",
)


def main(arguments: Sequence[str]) -> int:
    parser = Parser("leader-election", "Elect leaders of partitions again.", EXAMPLES)
    parser.connection()
    parser.add_argument("--admin.config", dest="command_config", metavar="FILE", help="the same as --command-config")
    parser.choice("--election-type", "TYPE", "which replica may lead", tuple(ELECTIONS), is_checked=False)
    parser.value("--topic", "TOPIC", "the topic of --partition")
    parser.value("--partition", "N", "the partition to elect a leader for", kind=int)
    parser.flag("--all-topic-partitions", "elect for all partitions")
    parser.value("--path-to-json-file", "FILE", "elect for what a file lists")
    parser.flag("--json", "print the result as JSON")
    options = parser.read(arguments)
    partitions = wanted_partitions(options)
    with connected(options) as admin:
        outcome = elect_leaders(admin.cluster, options.election_type.lower(), partitions)
    return report(outcome, options)


def wanted_partitions(options: argparse.Namespace) -> list[TopicPartition] | None:
    """None means all. Raises: CommandError."""
    scopes = [name for name in SCOPES if given(options, name)]
    if len(scopes) != 1:
        raise CommandError(
            "One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file"
        )
    missing = [] if given(options, "--election-type") else ["election-type"]
    if options.topic is not None and options.partition is None:
        missing.append("partition")
    if missing:
        raise CommandError(f"Missing required option(s): {', '.join(missing)}")
    if options.partition is not None and options.topic is None:
        raise CommandError("Option partition is only allowed if topic is used")
    if options.election_type.lower() not in ELECTIONS:
        raise CommandError(f"{options.election_type} is not an election type, which are {', '.join(ELECTIONS)}")
    if options.all_topic_partitions:
        return None
    if options.topic is not None:
        return [TopicPartition(options.topic, options.partition)]
    entries = objects(read_object(options.path_to_json_file), "partitions")
    found = [TopicPartition(text_of(entry, "topic"), number_of(entry, "partition")) for entry in entries]
    twice = sorted({str(partition) for partition in found if found.count(partition) > 1})
    if twice:
        raise CommandError(f"Replica election data contains duplicate topic partitions: {','.join(twice)}")
    return found


def report(outcome: Outcome, options: argparse.Namespace) -> int:
    """Raises: CommandError if an election failed."""
    kind = options.election_type.upper()
    done = [each for each, problem in outcome.items() if problem is None]
    not_needed = [
        each for each, problem in outcome.items() if problem and problem.code is ErrorCode.ELECTION_NOT_NEEDED
    ]
    failed = {each: problem for each, problem in outcome.items() if problem is not None and each not in set(not_needed)}
    if options.json:
        print_json(
            [
                {"topic": each.topic, "partition": each.partition, "error": problem.code.name if problem else None}
                for each, problem in sorted(outcome.items())
            ]
        )
        return 1 if failed else 0
    if done:
        print(f"Successfully completed leader election ({kind}) for partitions {', '.join(map(str, sorted(done)))}")
    if not_needed:
        print(f"Valid replica already elected for partitions {', '.join(map(str, sorted(not_needed)))}")
    for partition, problem in sorted(failed.items()):
        print(f"Error completing leader election ({kind}) for partition: {partition}: {problem.as_java}")
    if failed:
        raise CommandError(f"{len(failed)} replica(s) could not be elected")
    return 0
