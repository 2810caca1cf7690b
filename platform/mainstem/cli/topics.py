"""`mainstem topics`: the flags and the output of Kafka's `kafka-topics.sh`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from mainstem.cli.arguments import Parser, given, key_values, properties_file
from mainstem.cli.output import print_json
from mainstem.client.admin import Admin, PartitionInfo, TopicInfo
from mainstem.client.configs import ConfigValue
from mainstem.client.connection import Connection
from mainstem.client.errors import RefusedError
from mainstem.model.errors import ErrorCode, MainstemError
from mainstem.model.topic import INTERNAL_TOPICS

REPLICATION_FACTOR_MAX = 32767
ACTIONS = ("--list", "--describe", "--create", "--alter", "--delete")
REPORTS = (
    "--under-replicated-partitions",
    "--unavailable-partitions",
    "--under-min-isr-partitions",
    "--at-min-isr-partitions",
)
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
        connection = Connection(
            bootstrap_servers=options.bootstrap_server, properties=properties_file(options.command_config)
        )
        run(Admin.connect(connection), options, action)
    except (RefusedError, TopicCommandError) as error:
        print(f"Error while executing topic command : {error}")
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
    parser.flag("--json", "print --list and --describe as JSON")
    return parser


def check(parser: Parser, options: argparse.Namespace, action: str) -> None:
    """What Kafka's tool refuses. Raises: UsageError."""
    if action in ("--create", "--alter", "--delete"):
        parser.require(options, "--topic")
    if action == "--alter":
        parser.require(options, "--partitions")
    only = {
        "--partitions": ("--create", "--alter"),
        "--replica-assignment": ("--create", "--alter"),
        "--replication-factor": ("--create",),
        "--config": ("--create",),
        "--if-not-exists": ("--create",),
        "--if-exists": ("--alter", "--delete", "--describe"),
        "--exclude-internal": ("--list", "--describe"),
        "--topics-with-overrides": ("--describe",),
        "--json": ("--list", "--describe"),
    } | dict.fromkeys(REPORTS, ("--describe",))
    for name, actions in only.items():
        if given(options, name) and action not in actions:
            parser.error(f'Option "{name}" can\'t be used with option "{action}"')
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
            describe(admin, options)
        case "--alter":
            assignment = assignments(options.replica_assignment)
            for topic in admin.describe_topics(existing(admin, options)):
                added = assignment[len(topic.partitions) :]
                admin.add_partitions(topic.name, options.partitions, added)
        case "--delete":
            admin.delete_topics(existing(admin, options))


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


def create(admin: Admin, options: argparse.Namespace) -> None:
    if "." in options.topic or "_" in options.topic:
        print(COLLISION_WARNING)
    if options.replication_factor is not None and not 1 <= options.replication_factor <= REPLICATION_FACTOR_MAX:
        raise TopicCommandError(f"The replication factor must be between 1 and {REPLICATION_FACTOR_MAX} inclusive")
    if options.partitions is not None and options.partitions < 1:
        raise TopicCommandError("The partitions must be greater than 0")
    if not all("=" in config for config in options.config):
        raise TopicCommandError('Invalid topic config: all configs to be added must be in the format "key=val".')
    configs = {key: value.strip() for key, value in key_values(options.config).items()}
    try:
        admin.create_topic(
            options.topic,
            partitions=options.partitions,
            replication_factor=options.replication_factor,
            configs=configs,
            assignments=assignments(options.replica_assignment),
        )
    except RefusedError as error:
        if error.code is ErrorCode.TOPIC_ALREADY_EXISTS and options.if_not_exists:
            return
        raise
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
            raise TopicCommandError(f"Partition replica lists may not contain duplicate entries: {brokers}")
        if len(brokers) != len(found[0]):
            raise TopicCommandError(f"Partition {number} has different replication factor: {brokers}")
    return found


def describe(admin: Admin, options: argparse.Namespace) -> None:
    live = set(admin.brokers())
    described = []
    for topic in admin.describe_topics(existing(admin, options)):
        configs = admin.configs("topic", topic.name)
        partitions = [each for each in topic.partitions if is_wanted(each, configs, live, options)]
        own = [config for config in configs if not config.is_default]
        if options.json:
            described.append(as_json(topic, own, partitions))
            continue
        is_report = any(given(options, report) for report in REPORTS)
        if not is_report and (own or not options.topics_with_overrides):
            print(topic_line(topic, own))
        if not options.topics_with_overrides:
            for partition in partitions:
                print(partition_line(topic.name, partition))
    if options.json:
        print_json(described)


def is_wanted(
    partition: PartitionInfo, configs: Sequence[ConfigValue], live: set[int], options: argparse.Namespace
) -> bool:
    """Whether a report asks for this partition; without a report all are wanted."""
    if not any(given(options, report) for report in REPORTS):
        return True
    least = int(next(each.value or 1 for each in configs if each.name == "min.insync.replicas"))
    in_sync = len(partition.isr)
    return (
        (options.under_replicated_partitions and in_sync < len(partition.replicas))
        or (options.unavailable_partitions and partition.leader not in live)
        or (options.under_min_isr_partitions and (partition.leader is None or in_sync < least))
        or (options.at_min_isr_partitions and in_sync == least)
    )


def topic_line(topic: TopicInfo, own: Sequence[ConfigValue]) -> str:
    fields = [f"Topic: {topic.name}"]
    if topic.topic_id is not None:
        fields.append(f"TopicId: {topic.topic_id}")
    fields += [
        f"PartitionCount: {len(topic.partitions)}",
        f"ReplicationFactor: {len(topic.partitions[0].replicas)}",
        f"Configs: {','.join(f'{config.name}={config.value}' for config in own)}",
    ]
    return "\t".join(fields)


def partition_line(topic: str, partition: PartitionInfo) -> str:
    """Eligible leader replicas are printed as Kafka's tool does for brokers that do not tell them."""
    return "\t".join(
        [
            f"\tTopic: {topic}",
            f"Partition: {partition.partition}",
            f"Leader: {'none' if partition.leader is None else partition.leader}",
            f"Replicas: {','.join(map(str, partition.replicas))}",
            f"Isr: {','.join(map(str, partition.isr))}",
            "Elr: N/A",
            "LastKnownElr: N/A",
        ]
    )


def as_json(topic: TopicInfo, own: Sequence[ConfigValue], partitions: Sequence[PartitionInfo]) -> dict[str, object]:
    return {
        "topic": topic.name,
        "topic_id": topic.topic_id,
        "configs": {config.name: config.value for config in own},
        "partitions": list(partitions),
    }
