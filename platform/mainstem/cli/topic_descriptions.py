"""What `topics --describe` prints: a line for each topic, a line for each of its partitions, or a report of some of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mainstem.cli.arguments import given
from mainstem.cli.output import print_json
from mainstem.client.admin import Admin
from mainstem.client.configs import ConfigValue
from mainstem.client.topics import PartitionInfo, TopicInfo

REPORTS = (
    "--under-replicated-partitions",
    "--unavailable-partitions",
    "--under-min-isr-partitions",
    "--at-min-isr-partitions",
)
"""Each describes only the partitions that are in this trouble."""


def describe(admin: Admin, topics: Sequence[TopicInfo], options: argparse.Namespace) -> None:
    live = set(admin.brokers())
    described = []
    for topic in topics:
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
    """As Kafka's tool prints it, also for brokers that do not tell the eligible leader replicas."""
    return "\t".join(
        [
            f"\tTopic: {topic}",
            f"Partition: {partition.partition}",
            f"Leader: {'none' if partition.leader is None else partition.leader}",
            f"Replicas: {','.join(map(str, partition.replicas))}",
            f"Isr: {','.join(map(str, partition.isr))}",
            f"Elr: {'N/A' if partition.elr is None else ','.join(map(str, partition.elr))}",
            f"LastKnownElr: {'N/A' if partition.last_known_elr is None else ','.join(map(str, partition.last_known_elr))}",
        ]
    )


def as_json(topic: TopicInfo, own: Sequence[ConfigValue], partitions: Sequence[PartitionInfo]) -> dict[str, object]:
    return {
        "topic": topic.name,
        "topic_id": topic.topic_id,
        "configs": {config.name: config.value for config in own},
        "partitions": list(partitions),
    }
