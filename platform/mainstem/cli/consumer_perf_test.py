"""`mainstem consumer-perf-test`: the flags and the output of Kafka's `kafka-consumer-perf-test.sh`.

The consumer is librdkafka's, not Java's: the figures say how fast the broker gives records to it.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from datetime import datetime

from mainstem.cli.arguments import Parser, properties_file
from mainstem.cli.java_dates import java_date
from mainstem.cli.output import print_json
from mainstem.client.connection import Connection

MEBIBYTE = 1024 * 1024
TIMEOUT_MS = 10_000
FETCH_BYTES = 1024 * 1024
SOCKET_BYTES = 2 * 1024 * 1024
INTERVAL_MS = 5000
DATE_FORMAT = "yyyy-MM-dd HH:mm:ss:SSS"
BATCH_RECORDS = 10_000
COMMON_COLUMNS = "data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec"
FETCH_COLUMNS = "rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
EXAMPLES = (
    "mainstem consumer-perf-test --bootstrap-server localhost:9092 --topic perf --messages 1000000",
    "mainstem consumer-perf-test --bootstrap-server localhost:9092 --topic perf --messages 1000000 --show-detailed-stats"
    " --reporting-interval 1000",
)


def main(arguments: Sequence[str]) -> int:
    parser = perf_parser()
    options = parser.read(arguments)
    parser.require(options, "--topic", "--messages")
    if options.print_metrics:
        parser.error("--print-metrics would print metrics of Java's consumer; --json prints all figures there are")
    java_date(options.date_format, datetime.now())
    connection = Connection(
        bootstrap_servers=options.bootstrap_server,
        properties=properties_file(options.command_config) | consumer_properties(options),
    )
    connection.probe()
    run = PerfRun(options)
    if not options.json and not options.hide_header:
        first = "time, threadId" if options.show_detailed_stats else "start.time, end.time"
        print(f"{first}, {COMMON_COLUMNS}, {FETCH_COLUMNS}", flush=True)
    run.consume(connection)
    if options.json:
        print_json(run.figures())
    elif not options.show_detailed_stats:
        print(run.summary())
    return 0


def perf_parser() -> Parser:
    parser = Parser("consumer-perf-test", "Read records and measure how fast that goes.", EXAMPLES)
    parser.connection()
    parser.value("--topic", "TOPIC", "the topic to read")
    parser.value("--messages", "N", "how many records to read", kind=int)
    parser.value("--group", "GROUP", "the group to read in; one of its own without this")
    parser.value("--fetch-size", "BYTES", "how much to ask for at a time", kind=int, default=FETCH_BYTES)
    parser.value("--socket-buffer-size", "BYTES", "size of the receive buffer", kind=int, default=SOCKET_BYTES)
    parser.flag("--from-latest", "start at the end where the group has no offset yet")
    parser.value("--timeout", "MS", "end when no record comes for this long", kind=int, default=TIMEOUT_MS)
    parser.value("--consumer.config", "FILE", "properties of the consumer from a file")
    parser.flag("--show-detailed-stats", "print figures at every interval")
    parser.value("--reporting-interval", "MS", "how often that is", kind=int, default=INTERVAL_MS)
    parser.value("--date-format", "PATTERN", "how times are printed, as in Java", default=DATE_FORMAT)
    parser.flag("--hide-header", "print no line of column names")
    parser.flag("--print-metrics", "refused: they are metrics of Java's consumer")
    parser.flag("--json", "print the figures as JSON")
    return parser


def consumer_properties(options: argparse.Namespace) -> dict[str, str]:
    return properties_file(options.consumer_config) | {
        "group.id": options.group or f"perf-consumer-{random.randrange(100_000)}",
        "receive.buffer.bytes": str(options.socket_buffer_size),
        "max.partition.fetch.bytes": str(options.fetch_size),
        "auto.offset.reset": "latest" if options.from_latest else "earliest",
        "check.crcs": "false",
    }


class PerfRun:
    """One measurement: counts, and prints what is due."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._records = self._bytes = 0
        self._began = self._ended = self._reported = datetime.now()
        self._assigned_ms = 0
        self._reported_records = self._reported_bytes = 0

    def consume(self, connection: Connection) -> None:
        """Raises: RefusedError, ConfigError."""
        from mainstem.client.perf_consumer import PerfConsumer

        options = self._options
        self._began = self._ended = self._reported = datetime.now()
        idle_since_s = began_s = time.monotonic()
        with PerfConsumer(connection, options.topic) as consumer:
            while self._records < options.messages:
                sizes = consumer.poll(min(BATCH_RECORDS, options.messages - self._records))
                if self._assigned_ms == 0 and consumer.is_assigned:
                    self._assigned_ms = round((time.monotonic() - began_s) * 1000)
                if sizes:
                    idle_since_s = time.monotonic()
                    self._records += len(sizes)
                    self._bytes += sum(sizes)
                elif (time.monotonic() - idle_since_s) * 1000 >= options.timeout:
                    if not options.json:
                        print(
                            "WARNING: Exiting before consuming the expected number of messages: timeout"
                            f" ({options.timeout} ms) exceeded. You can use the --timeout option to increase the timeout."
                        )
                    break
                self._report(datetime.now())
            self._ended = datetime.now()

    def _report(self, now: datetime) -> None:
        elapsed_ms = (now - self._reported).total_seconds() * 1000
        if elapsed_ms < self._options.reporting_interval:
            return
        if self._options.show_detailed_stats and not self._options.json:
            records, size = self._records - self._reported_records, (self._bytes - self._reported_bytes) / MEBIBYTE
            per_s = 1000 / elapsed_ms
            print(
                f"{java_date(self._options.date_format, now)}, 0, {self._bytes / MEBIBYTE:.4f}, {size * per_s:.4f},"
                f" {self._records}, {records * per_s:.4f}, 0, {elapsed_ms:.0f}, {size * per_s:.4f},"
                f" {records * per_s:.4f}",
                flush=True,
            )
        self._reported, self._reported_records, self._reported_bytes = now, self._records, self._bytes

    def figures(self) -> dict[str, float]:
        elapsed_ms = max((self._ended - self._began).total_seconds() * 1000, 1.0)
        fetch_ms = max(elapsed_ms - self._assigned_ms, 1.0)
        size = self._bytes / MEBIBYTE
        return {
            "data_mb": size,
            "mb_per_s": size * 1000 / elapsed_ms,
            "records": self._records,
            "records_per_s": self._records * 1000 / elapsed_ms,
            "rebalance_ms": self._assigned_ms,
            "fetch_ms": round(fetch_ms),
            "fetch_mb_per_s": size * 1000 / fetch_ms,
            "fetch_records_per_s": self._records * 1000 / fetch_ms,
        }

    def summary(self) -> str:
        figures, pattern = self.figures(), self._options.date_format
        return (
            f"{java_date(pattern, self._began)}, {java_date(pattern, self._ended)}, {figures['data_mb']:.4f},"
            f" {figures['mb_per_s']:.4f}, {figures['records']}, {figures['records_per_s']:.4f},"
            f" {figures['rebalance_ms']}, {figures['fetch_ms']}, {figures['fetch_mb_per_s']:.4f},"
            f" {figures['fetch_records_per_s']:.4f}"
        )
