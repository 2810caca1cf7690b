"""`mainstem topics`: the flags and the output of Kafka's `kafka-topics.sh`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from mainstem.cli.arguments import Parser, key_values
from mainstem.cli.cluster_commands import connected
from mainstem.cli.output import print_error, print_json
from mainstem.cli.topic_descriptions import REPORTS, describe
from mainstem.client.admin import Admin
from mainstem.client.errors import RefusedError
from mainstem.client.topics import PARTITIONS_PER_RESPONSE
from mainstem.model.configs.nearest import suggestion
from mainstem.model.configs.topic_keys import TOPIC_KEYS
from mainstem.model.errors import ErrorCode, MainstemError
from mainstem.model.ids import NO_TOPIC_ID, topic_id_from_text, topic_id_text
from mainstem.model.topic import INTERNAL_TOPICS

REPLICATION_FACTOR_MAX = 32767
ACTIONS = ("--list", "--describe", "--create", "--alter", "--delete")
EXAMPLES = (
    "mainstem topics --bootstrap-server localhost:9092 --list",
    "mainstem topics --bootstrap-server localhost:9092 --create --topic orders --partitions 3",
    "mainstem topics --bootstrap-server localhost:9092 --describe --topic orders",
    "mainstem topics --bootstrap-server localhost:9092 --alter --topic orders --partitions 6",
    "mainstem topics --bootstrap-server localhost:9092 --delete --topic 'test-.*'",
)
COLLISION_WARNING = (
    "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide."
    " To avoid issues it is best to use either, but not both."
)


class TopicCommandError(MainstemError):
    """Something that the command itself finds wrong."""


def main(arguments: Sequence[str]) -> int:
    parser = topics_parser()
    options = parser.read(arguments)
    action = parser.exactly_one(options, ACTIONS)
    check(parser, options, action)
    try:
        with connected(options) as admin:
            run(admin, options, action)
    except (RefusedError, TopicCommandError) as error:
        print(f"Error while executing topic command : {error}", file=sys.stderr if options.json else sys.stdout)
        return 1
    return 0


def topics_parser() -> Parser:
    parser = Parser("topics", "Create, list, describe, widen or delete topics.", EXAMPLES)
    parser.connection()
    parser.flag("--list", "print the names of all topics")
    parser.flag("--create", "create a topic")
    parser.flag("--describe", "print partitions, leaders, replicas and own settings")
    parser.flag("--alter", "raise the number of partitions")
    parser.flag("--delete", "delete topics")
    parser.value("--topic", "TOPIC", "the topic; except with --create a regular expression is taken")
    parser.value("--topic-id", "ID", "with --describe: the topic of this id")
    parser.value("--partitions", "N", "how many partitions; the broker's num.partitions if not given", kind=int)
    parser.value("--replication-factor", "N", "how many replicas; the broker's default if not given", kind=int)
    parser.value(
        "--replica-assignment",
        "IDS",
        "brokers of each partition: 1:2,2:3 puts the first on 1 and 2, the next on 2 and 3",
    )
    parser.values("--config", "KEY=VALUE", "a setting of the new topic; may be repeated")
    parser.flag("--if-exists", "do nothing about a topic that does not exist")
    parser.flag("--if-not-exists", "do nothing about a topic that exists")
    parser.flag("--exclude-internal", "leave out the topics of the broker itself")
    parser.flag("--topics-with-overrides", "describe only topics with settings of their own")
    parser.flag("--under-replicated-partitions", "describe only partitions that lack a replica")
    parser.flag("--unavailable-partitions", "describe only partitions without a live leader")
    parser.flag("--under-min-isr-partitions", "describe only partitions below min.insync.replicas")
    parser.flag("--at-min-isr-partitions", "describe only partitions at min.insync.replicas")
    parser.value(
        "--partition-size-limit-per-response",
        "N",
        "with --describe: how many partitions to ask for at a time",
        kind=int,
        default=PARTITIONS_PER_RESPONSE,
    )
    parser.values(
        "--delete-config", "KEY", "ignored, as since Kafka 4.0: `mainstem configs --alter --delete-config` does it"
    )
    parser.flag("--json", "print the result as JSON; for --create, --alter and --delete the names of topics")
    return parser


def check(parser: Parser, options: argparse.Namespace, action: str) -> None:
    """What Kafka's tool refuses. Raises: UsageError."""
    if action in ("--create", "--alter", "--delete"):
        parser.require(options, "--topic")
    if action == "--alter":
        parser.require(options, "--partitions")
    create, describe_only = ("--create",), ("--describe",)
    allowed = {
        "--partitions": ("--create", "--alter"),
        "--replica-assignment": ("--create", "--alter"),
        "--replication-factor": create,
        "--config": create,
        "--delete-config": create,
        "--if-not-exists": create,
        "--if-exists": ("--alter", "--delete", "--describe"),
        "--exclude-internal": ("--list", "--describe"),
        "--topics-with-overrides": describe_only,
        "--topic-id": describe_only,
    }
    parser.only(options, action, allowed | dict.fromkeys(REPORTS, describe_only))
    if options.delete_config:
        print_error("--delete-config does nothing since Kafka 4.0; see `mainstem configs --help`")
    for name in REPORTS:
        parser.forbid(options, name, ("--topics-with-overrides",))
    if action == "--create":
        parser.forbid(options, "--replica-assignment", ("--partitions", "--replication-factor"))


def run(admin: Admin, options: argparse.Namespace, action: str) -> None:
    match action:
        case "--list":
            names = matching(admin, options)
            if options.json:
                print_json(names)
            else:
                print("\n".join(names))
        case "--create":
            create(admin, options)
        case "--describe":
            limit = options.partition_size_limit_per_response
            describe(admin, admin.topic_admin.describe(described(admin, options), limit), options)
        case "--alter":
            assignment = assignments(options.replica_assignment)
            names = existing(admin, options)
            for topic in admin.describe_topics(names):
                added = assignment[len(topic.partitions) :]
                admin.topic_admin.add_partitions(topic.name, options.partitions, added)
            if options.json:
                print_json(names)
        case "--delete":
            names = existing(admin, options)
            admin.topic_admin.delete(names)
            if options.json:
                print_json(names)


def matching(admin: Admin, options: argparse.Namespace) -> list[str]:
    """Topics that `--topic` means; all without it. Kafka reads commas as alternatives."""
    names = admin.topics()
    if options.topic:
        try:
            pattern = re.compile(options.topic.strip().strip("\"'").replace(",", "|"))
        except re.error as error:
            raise TopicCommandError(f"{options.topic} is an invalid regex: {error}") from None
        names = [name for name in names if pattern.fullmatch(name)]
    return [name for name in names if not (options.exclude_internal and name in INTERNAL_TOPICS)]


def existing(admin: Admin, options: argparse.Namespace) -> list[str]:
    """As `matching`, but a topic that is named must be there. Raises: TopicCommandError."""
    names = matching(admin, options)
    if options.topic and not names and not options.if_exists:
        raise TopicCommandError(f"Topic '{options.topic}' does not exist as expected")
    return names


def described(admin: Admin, options: argparse.Namespace) -> list[str]:
    """The topics that `--describe` is about. Raises: TopicCommandError."""
    if options.topic_id is None:
        return existing(admin, options)
    try:
        wanted = topic_id_from_text(options.topic_id)
    except ValueError as error:
        raise TopicCommandError(f"{options.topic_id} is not a topic id: {error}") from None
    names = [name for name, topic_id in admin.topic_admin.ids().items() if topic_id == topic_id_text(wanted)]
    if wanted == NO_TOPIC_ID:
        return matching(admin, options)
    if not names and not options.if_exists:
        raise TopicCommandError(f"TopicId '{options.topic_id}' does not exist as expected")
    return names


def create(admin: Admin, options: argparse.Namespace) -> None:
    if "." in options.topic or "_" in options.topic:
        print(COLLISION_WARNING, file=sys.stderr if options.json else sys.stdout)
    if options.replication_factor is not None and not 1 <= options.replication_factor <= REPLICATION_FACTOR_MAX:
        raise TopicCommandError(f"The replication factor must be between 1 and {REPLICATION_FACTOR_MAX} inclusive")
    if options.partitions is not None and options.partitions < 1:
        raise TopicCommandError("The partitions must be greater than 0")
    if not all("=" in config for config in options.config):
        raise TopicCommandError(
            'requirement failed: Invalid topic config: all configs to be added must be in the format "key=val".'
        )
    configs = {key: value.strip() for key, value in key_values(options.config).items()}
    for key in configs:
        if key not in TOPIC_KEYS:
            raise TopicCommandError(f"Unknown topic config name: {key}{suggestion(key, TOPIC_KEYS)}")
    try:
        admin.topic_admin.create(
            options.topic,
            partitions=options.partitions,
            replication_factor=options.replication_factor,
            configs=configs,
            assignments=assignments(options.replica_assignment),
        )
    except RefusedError as error:
        if error.code is ErrorCode.TOPIC_ALREADY_EXISTS and options.if_not_exists:
            if options.json:
                print_json([])
            return
        raise
    if options.json:
        print_json([options.topic])
    else:
        print(f"Created topic {options.topic}.")


def assignments(text: str | None) -> list[list[int]]:
    """`1:2,2:3` → [[1, 2], [2, 3]]. Raises: TopicCommandError."""
    if not text:
        return []
    try:
        found = [[int(broker) for broker in partition.split(":")] for partition in text.split(",")]
    except ValueError:
        raise TopicCommandError(f"{text} is not a replica assignment; the form is 1:2,2:3") from None
    for number, brokers in enumerate(found):
        if len(set(brokers)) < len(brokers):
            twice = ", ".join(str(broker) for broker in dict.fromkeys(brokers) if brokers.count(broker) > 1)
            raise TopicCommandError(f"Partition replica lists may not contain duplicate entries: {twice}")
        if len(brokers) != len(found[0]):
            raise TopicCommandError(f"Partition {number} has different replication factor: {brokers}")
    return found
