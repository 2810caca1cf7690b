"""`mainstem verifiable-consumer`: the flags and the JSON lines of Kafka's `kafka-verifiable-consumer.sh`."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Any

from mainstem.cli.arguments import Parser, properties_file
from mainstem.cli.verifiable_producer import event
from mainstem.client.connection import Connection
from mainstem.client.consumer import Consumed
from mainstem.client.errors import RefusedError
from mainstem.model.ids import TopicPartition

PROTOCOLS = ("classic", "consumer")
ASSIGNORS = {
    "RangeAssignor": "range",
    "RoundRobinAssignor": "roundrobin",
    "CooperativeStickyAssignor": "cooperative-sticky",
}
"""librdkafka's names by those of Java's classes."""
BATCH_RECORDS = 500
EXAMPLES = (
    "mainstem verifiable-consumer --bootstrap-server localhost:9092 --topic orders --group-id checkers",
    "mainstem verifiable-consumer --bootstrap-server localhost:9092 --topic orders --group-id checkers"
    " --max-messages 100 --verbose",
)


def main(arguments: Sequence[str]) -> int:
    parser = consumer_parser()
    options = parser.read(arguments)
    parser.require(options, "--topic", "--group-id")
    properties = properties_file(options.command_config) | consumer_properties(parser, options)
    connection = Connection(bootstrap_servers=options.bootstrap_server, properties=properties)
    connection.probe()
    VerifiableConsumer(options, connection).run()
    return 0


def consumer_parser() -> Parser:
    parser = Parser("verifiable-consumer", "Read records and say, as JSON, what came and was committed.", EXAMPLES)
    parser.connection()
    parser.value("--topic", "TOPIC", "the topic to read")
    parser.value("--group-id", "GROUP", "the group to read in")
    parser.value("--group-instance-id", "ID", "read as a static member of this name")
    parser.choice(
        "--group-protocol", "PROTOCOL", "the group's protocol", PROTOCOLS, default="classic", is_checked=False
    )
    parser.value("--group-remote-assignor", "NAME", "with the consumer protocol: the broker's assignor")
    parser.value("--max-messages", "N", "how many to read; -1: until the process is ended", kind=int, default=-1)
    parser.value("--session-timeout", "MS", "with the classic protocol: the session timeout", kind=int)
    parser.flag("--verbose", "also print every record")
    parser.flag("--enable-autocommit", "let the consumer commit by itself")
    parser.choice(
        "--reset-policy",
        "POLICY",
        "where to start without an offset",
        ("earliest", "latest", "none"),
        default="earliest",
    )
    parser.value(
        "--assignment-strategy", "CLASS", "with the classic protocol: how members share", default="RangeAssignor"
    )
    parser.value("--consumer.config", "FILE", "properties of the consumer from a file")
    return parser


def consumer_properties(parser: Parser, options: argparse.Namespace) -> dict[str, str]:
    """Raises: UsageError."""
    protocol = options.group_protocol.lower()
    if protocol not in PROTOCOLS:
        parser.error(f"{options.group_protocol} is not a group protocol, which are {', '.join(PROTOCOLS)}")
    properties = properties_file(options.consumer_config) | {
        "group.id": options.group_id,
        "auto.offset.reset": "error" if options.reset_policy == "none" else options.reset_policy,
        "enable.auto.commit": "true" if options.enable_autocommit else "false",
    }
    if options.group_instance_id is not None:
        properties["group.instance.id"] = options.group_instance_id
    if protocol == "consumer":
        properties["group.protocol"] = "consumer"
        if options.group_remote_assignor is not None:
            properties["group.remote.assignor"] = options.group_remote_assignor
        return properties
    if options.session_timeout is not None:
        properties["session.timeout.ms"] = str(options.session_timeout)
    strategy = options.assignment_strategy.rpartition(".")[2]
    if strategy not in ASSIGNORS:
        parser.error(f"{options.assignment_strategy} is not a strategy here, which are {', '.join(ASSIGNORS)}")
    properties["partition.assignment.strategy"] = ASSIGNORS[strategy]
    return properties


class VerifiableConsumer:
    """One run."""

    def __init__(self, options: argparse.Namespace, connection: Connection) -> None:
        self._options = options
        self._connection = connection
        self._consumed = 0
        self._is_stopping = False

    def run(self) -> None:
        from mainstem.client.perf_consumer import TellingConsumer

        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        event("startup_complete")
        try:
            with TellingConsumer(
                self._connection,
                self._options.topic,
                lambda given: event("partitions_assigned", partitions=_documents(given)),
                lambda taken: event("partitions_revoked", partitions=_documents(taken)),
            ) as consumer:
                while not self._is_finished():
                    records = consumer.poll(self._wanted())
                    offsets = self._tell(records)
                    if offsets and not self._options.enable_autocommit:
                        self._commit(consumer, offsets)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        event("shutdown_complete")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _is_finished(self) -> bool:
        return self._is_stopping or 0 <= self._options.max_messages <= self._consumed

    def _wanted(self) -> int:
        if self._options.max_messages < 0:
            return BATCH_RECORDS
        return int(min(BATCH_RECORDS, self._options.max_messages - self._consumed))

    def _tell(self, records: Sequence[Consumed]) -> dict[TopicPartition, int]:
        """Events for what came; returns where to go on."""
        by_partition: dict[TopicPartition, list[int]] = {}
        for record in records:
            by_partition.setdefault(TopicPartition(record.topic, record.partition), []).append(record.offset)
            if self._options.verbose:
                event(
                    "record_data",
                    key=_text(record.key),
                    value=_text(record.value),
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                )
        self._consumed += len(records)
        if records:
            event(
                "records_consumed",
                count=len(records),
                partitions=[
                    {
                        "topic": each.topic,
                        "partition": each.partition,
                        "count": len(offsets),
                        "minOffset": offsets[0],
                        "maxOffset": offsets[-1],
                    }
                    for each, offsets in by_partition.items()
                ],
            )
        return {each: offsets[-1] + 1 for each, offsets in by_partition.items()}

    def _commit(self, consumer: Any, offsets: dict[TopicPartition, int]) -> None:
        documents = [{"topic": each.topic, "partition": each.partition, "offset": at} for each, at in offsets.items()]
        try:
            consumer.commit(offsets)
        except RefusedError as error:
            event("offsets_committed", offsets=documents, error=error.message, success=False)
        else:
            event("offsets_committed", offsets=documents, success=True)


def _documents(partitions: Sequence[TopicPartition]) -> list[dict[str, object]]:
    return [{"topic": each.topic, "partition": each.partition} for each in partitions]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
