"""Which brokers are to have which partitions: the JSON of `reassign-partitions`, and a proposal that is fair to brokers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from mainstem.cli.arguments import CommandError
from mainstem.cli.json_files import number_of, objects, read_object, text_of
from mainstem.model.ids import TopicPartition

Plan = dict[TopicPartition, tuple[int, ...]]
ANY_DIR = "any"


def read_plan(path: str) -> Plan:
    """Raises: CommandError, also for a plan that moves replicas between folders of a broker."""
    plan: Plan = {}
    for entry in objects(read_object(path), "partitions"):
        partition = TopicPartition(text_of(entry, "topic"), number_of(entry, "partition"))
        replicas = _numbers(entry)
        dirs = entry.get("log_dirs", [ANY_DIR] * len(replicas))
        if not isinstance(dirs, list) or len(dirs) != len(replicas):
            raise CommandError(f"Size of replicas list {list(replicas)} is different from size of log dirs list {dirs}")
        if any(each != ANY_DIR for each in dirs):
            raise CommandError(f'{partition}: replicas cannot be moved between folders: use "{ANY_DIR}" in log_dirs')
        if not replicas:
            raise CommandError(f"Partition replica list cannot be empty for partition {partition}")
        if len(set(replicas)) < len(replicas):
            raise CommandError(
                f"Partition replica lists may not contain duplicate entries: {partition}: {list(replicas)}"
            )
        if partition in plan:
            raise CommandError(f"Partition reassignment contains duplicate topic partitions: {partition}")
        plan[partition] = replicas
    if not plan:
        raise CommandError("Partition reassignment list cannot be empty")
    return plan


def _numbers(entry: Mapping[str, object]) -> tuple[int, ...]:
    if "replicas" not in entry:
        raise CommandError("No such field exists: `replicas`")
    found = entry["replicas"]
    if not isinstance(found, list) or not all(isinstance(each, int) for each in found):
        raise CommandError("The field `replicas` must be a list of whole numbers")
    return tuple(found)


def plan_text(plan: Mapping[TopicPartition, Sequence[int]]) -> str:
    """One line, as Kafka prints it and reads it again."""
    entries = [
        {
            "topic": partition.topic,
            "partition": partition.partition,
            "replicas": list(replicas),
            "log_dirs": [ANY_DIR] * len(replicas),
        }
        for partition, replicas in sorted(plan.items())
    ]
    return json.dumps({"version": 1, "partitions": entries}, separators=(",", ":"))


def read_topics(path: str) -> list[str]:
    """Raises: CommandError."""
    names = [text_of(entry, "topic") for entry in objects(read_object(path), "topics")]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CommandError(f"List of topics to reassign contains duplicate entries: {', '.join(twice)}")
    return names


def read_brokers(text: str) -> list[int]:
    """Raises: CommandError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise CommandError(f"--broker-list takes ids of brokers separated by commas, not {text}")
    if len(set(parts)) < len(parts):
        raise CommandError(f"Broker list contains duplicate entries: {text}")
    return [int(part) for part in parts]


def proposed(current: Mapping[TopicPartition, Sequence[int]], brokers: Sequence[int]) -> Plan:
    """Deals replicas round: leaders in turn, followers on the brokers after, each topic beginning one further.

    Raises: CommandError if there are fewer brokers than replicas.
    """
    plan: Plan = {}
    for start, topic in enumerate(_topics(current)):
        partitions = sorted(partition for partition in current if partition.topic == topic)
        for number, partition in enumerate(partitions):
            count = len(current[partition])
            if count > len(brokers):
                raise CommandError(f"Replication factor: {count} larger than available brokers: {len(brokers)}")
            # Each round over the brokers shifts the followers, so that no broker follows always the same leader.
            shift = number // len(brokers)
            first = (start + number) % len(brokers)
            followers = [
                brokers[(first + 1 + (shift + step) % max(len(brokers) - 1, 1)) % len(brokers)]
                for step in range(count - 1)
            ]
            plan[partition] = (brokers[first], *followers)
    return plan


def _topics(partitions: Iterable[TopicPartition]) -> list[str]:
    return sorted({partition.topic for partition in partitions})
