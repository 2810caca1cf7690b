"""`mainstem verifiable-producer`: the flags and the JSON lines of Kafka's `kafka-verifiable-producer.sh`."""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from mainstem.cli.arguments import Parser, properties_file
from mainstem.cli.throttle import Throttle
from mainstem.client.connection import Connection

EXAMPLES = (
    "mainstem verifiable-producer --bootstrap-server localhost:9092 --topic orders --max-messages 100",
    "mainstem verifiable-producer --bootstrap-server localhost:9092 --topic orders --throughput 10 --value-prefix 1",
)
POLL_EVERY_RECORDS = 16


def main(arguments: Sequence[str]) -> int:
    parser = Parser("verifiable-producer", "Send numbers and say, as JSON, which were acknowledged.", EXAMPLES)
    parser.connection()
    parser.value("--topic", "TOPIC", "the topic to send to")
    parser.value("--max-messages", "N", "how many to send; -1: until the process is ended", kind=int, default=-1)
    parser.value("--throughput", "N", "records a second, roughly; -1: as fast as possible", kind=int, default=-1)
    parser.value("--acks", "ACKS", "0, 1 or -1 (all)", kind=int, default=-1)
    parser.value("--producer.config", "FILE", "properties of the producer from a file")
    parser.value("--message-create-time", "MS", "timestamps that count up from here", kind=int, default=-1)
    parser.value("--value-prefix", "N", "put this and a dot before every value", kind=int)
    parser.value("--repeating-keys", "N", "keys that count up to this, and begin again", kind=int)
    options = parser.read(arguments)
    parser.require(options, "--topic")
    properties = properties_file(options.command_config) | properties_file(options.producer_config)
    properties |= {"acks": str(options.acks), "retries": properties.get("retries", "0")}
    connection = Connection(bootstrap_servers=options.bootstrap_server, properties=properties)
    connection.probe()
    VerifiableProducer(options, connection).run()
    return 0


def event(name: str, **facts: Any) -> None:
    """One line, at once: whoever started this reads along."""
    print(
        json.dumps({"timestamp": time.time_ns() // 1_000_000, "name": name, **facts}, separators=(",", ":")), flush=True
    )


class VerifiableProducer:
    """One run."""

    def __init__(self, options: argparse.Namespace, connection: Connection) -> None:
        from mainstem.client.perf_producer import PerfProducer

        self._options = options
        self._producer = PerfProducer(connection, {})
        self._sent = self._acked = 0
        self._is_stopping = False

    def run(self) -> None:
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        began_s = time.monotonic()
        event("startup_complete")
        try:
            throttle = Throttle(self._options.throughput, self._producer.poll)
            for value, key in self._records():
                self._send(value, key)
                if self._sent % POLL_EVERY_RECORDS == 0:
                    self._producer.poll()
                throttle.pause(self._sent)
            self._producer.flush()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        event("shutdown_complete")
        event(
            "tool_data",
            sent=self._sent,
            acked=self._acked,
            target_throughput=self._options.throughput,
            avg_throughput=self._acked / max(time.monotonic() - began_s, 1e-3),
        )

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _records(self) -> Iterator[tuple[str, str | None]]:
        options, number = self._options, 0
        while not self._is_stopping and (options.max_messages < 0 or number < options.max_messages):
            value = str(number) if options.value_prefix is None else f"{options.value_prefix}.{number}"
            yield value, None if options.repeating_keys is None else str(number % options.repeating_keys)
            number += 1

    def _send(self, value: str, key: str | None) -> None:
        first_ms = self._options.message_create_time
        timestamp_ms = 0 if first_ms < 0 else first_ms + self._sent
        self._sent += 1

        def delivered(error: Any, message: Any) -> None:
            if error is None:
                self._acked += 1
                event(
                    "producer_send_success",
                    key=key,
                    value=value,
                    offset=message.offset(),
                    topic=message.topic(),
                    partition=message.partition(),
                )
                return
            event(
                "producer_send_error",
                key=key,
                value=value,
                topic=self._options.topic,
                message=error.str(),
                exception=f"class org.apache.kafka.common.KafkaException: {error.name()}",
            )

        encoded_key = key.encode() if key is not None else None
        self._producer.send(self._options.topic, value.encode(), delivered, key=encoded_key, timestamp_ms=timestamp_ms)
