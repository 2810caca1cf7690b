"""`mainstem log-dirs`: the flags and the output of Kafka's `kafka-log-dirs.sh`. The result is JSON in Kafka's tool too."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.cluster_commands import connected
from mainstem.client.admin import Admin
from mainstem.client.kafka_errors import exception_class
from mainstem.client.log_dirs import LogDir, describe_log_dirs
from mainstem.model.errors import ErrorCode

EXAMPLES = (
    "mainstem log-dirs --bootstrap-server localhost:9092 --describe",
    "mainstem log-dirs --bootstrap-server localhost:9092 --describe --topic-list orders,returns",
    "mainstem log-dirs --bootstrap-server localhost:9092 --describe --broker-list 1 --json",
)


def main(arguments: Sequence[str]) -> int:
    parser = Parser("log-dirs", "Print the folders of brokers with the sizes of the partitions in them.", EXAMPLES)
    parser.connection()
    parser.flag("--describe", "print the folders")
    parser.value("--topic-list", "TOPICS", "only these topics, separated by commas", default="")
    parser.value("--broker-list", "IDS", "only these brokers, separated by commas", default="")
    parser.flag("--json", "print the JSON only, without the lines before it")
    options = parser.read(arguments)
    parser.require(options, "--describe")
    topics = frozenset(_parts(options.topic_list)) or None
    with connected(options) as admin:
        brokers = chosen_brokers(admin, options.broker_list)
        if not options.json:
            print("Querying brokers for log directories information", flush=True)
        found = {broker: describe_log_dirs(admin.cluster, broker, topics) for broker in brokers}
    if not options.json:
        print(f"Received log directory information from brokers {','.join(map(str, brokers))}")
    documents = [{"broker": broker, "logDirs": [as_json(each) for each in dirs]} for broker, dirs in found.items()]
    print(json.dumps({"brokers": documents, "version": 1}, separators=(",", ":")))
    return 0


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def chosen_brokers(admin: Admin, text: str) -> list[int]:
    """Raises: CommandError."""
    existing = admin.brokers()
    wanted = _parts(text)
    if not all(part.isascii() and part.isdecimal() for part in wanted):
        raise CommandError(f"ERROR: --broker-list takes ids of brokers separated by commas, not {text}")
    numbers = sorted({int(part) for part in wanted})
    absent = [number for number in numbers if number not in existing]
    if absent:
        raise CommandError(
            f"ERROR: The given brokers do not exist from --broker-list: {','.join(map(str, absent))}."
            f" Current existent brokers: {','.join(map(str, existing))}"
        )
    return numbers or existing


def as_json(log_dir: LogDir) -> dict[str, object]:
    """Kafka's names and order."""
    return {
        "partitions": [
            {
                "partition": str(replica.partition),
                "size": replica.size_bytes,
                "offsetLag": replica.offset_lag,
                "isFuture": replica.is_future,
            }
            for replica in log_dir.replicas
        ],
        "error": None if log_dir.error is ErrorCode.NONE else exception_class(log_dir.error),
        "logDir": log_dir.path,
    }
