"""`mainstem producer-perf-test`: the flags and the output of Kafka's `kafka-producer-perf-test.sh`.

The producer is librdkafka's, not Java's: the figures say how fast the broker takes records from it.
"""

from __future__ import annotations

import argparse
import random
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mainstem.cli.arguments import CommandError, Parser, given, key_values, properties_file
from mainstem.cli.latencies import Latencies, summary_line
from mainstem.cli.output import print_error, print_json
from mainstem.cli.throttle import Throttle
from mainstem.client.connection import Connection
from mainstem.model.errors import ConfigError

PAYLOADS = ("--record-size", "--payload-file", "--payload-monotonic")
TRANSACTION_MS = 3000
POLL_EVERY_RECORDS = 128
DEFAULTS: dict[str, Any] = {"client.id": "perf-producer-client", "linger.ms": 5, "queue.buffering.max.kbytes": 65536}
EXAMPLES = (
    "mainstem producer-perf-test --topic perf --num-records 1000000 --record-size 1000 --throughput -1"
    " --producer-props bootstrap.servers=localhost:9092 acks=all",
    "mainstem producer-perf-test --topic perf --num-records 100000 --payload-file lines.txt --throughput 5000"
    " --bootstrap-server localhost:9092",
)


def main(arguments: Sequence[str]) -> int:
    parser = perf_parser()
    options = parser.read(arguments)
    check(parser, options)
    properties = properties_file(options.command_config) | properties_file(options.producer_config)
    properties |= key_values(options.producer_props)
    servers = properties.pop("bootstrap.servers", options.bootstrap_server)
    transaction_ms = transaction_duration_ms(options, properties)
    payload = payloads(options)
    connection = Connection(bootstrap_servers=servers, properties=properties)
    connection.probe()
    from mainstem.client.perf_producer import PerfProducer, error_text

    producer = PerfProducer(connection, DEFAULTS)
    latencies = Latencies(options.num_records)

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            print_error(f"Error when sending message: {error_text(error)}")
            return
        line = latencies.record(round((message.latency() or 0.0) * 1000), len(message))
        if line is not None and not options.json:
            print(line, flush=True)

    throttle = Throttle(options.throughput, producer.poll)
    opened_s = -1.0
    for number in range(options.num_records):
        if transaction_ms is not None and opened_s < 0:
            producer.begin(is_first=number == 0)
            opened_s = time.monotonic()
        producer.send(options.topic, payload(number), delivered)
        if transaction_ms is not None and (time.monotonic() - opened_s) * 1000 >= transaction_ms:
            producer.commit()
            opened_s = -1.0
        if number % POLL_EVERY_RECORDS == 0:
            producer.poll()
        throttle.pause(number + 1)
    if opened_s >= 0:
        producer.commit()
    producer.flush()
    figures = latencies.summary()
    print_json(figures) if options.json else print(summary_line(figures))
    return 0


def perf_parser() -> Parser:
    parser = Parser("producer-perf-test", "Send records and measure how fast that goes.", EXAMPLES)
    parser.connection()
    parser.value("--topic", "TOPIC", "the topic to send to")
    parser.value("--num-records", "N", "how many records to send", kind=int)
    parser.value("--record-size", "BYTES", "the size of each record's random value", kind=int)
    parser.value("--payload-file", "FILE", "a file of values, one of which is picked for each record")
    parser.value("--payload-delimiter", "TEXT", "what separates values of --payload-file (default: \\n)", default="\\n")
    parser.flag("--payload-monotonic", "values that count up from 0")
    parser.value("--throughput", "N", "records a second, roughly; -1: as fast as possible", kind=float)
    parser.many("--producer-props", "KEY=VALUE", "properties of the producer, bootstrap.servers among them")
    parser.value("--producer.config", "FILE", "properties of the producer from a file")
    parser.flag("--print-metrics", "refused: they are metrics of Java's producer")
    parser.value("--transactional-id", "ID", "send in transactions of this id")
    parser.value("--transaction-duration-ms", "MS", "send in transactions that last this long", kind=int)
    parser.flag("--json", "print the final figures only, as JSON")
    return parser


def check(parser: Parser, options: argparse.Namespace) -> None:
    """Raises: UsageError."""
    parser.require(options, "--topic", "--num-records", "--throughput")
    chosen = [name for name in PAYLOADS if given(options, name)]
    if len(chosen) != 1:
        parser.error(f"exactly one of the arguments {' '.join(PAYLOADS)} is required")
    if options.record_size is not None and options.record_size <= 0:
        parser.error("--record-size should be greater than zero")
    if options.num_records <= 0:
        parser.error("--num-records should be greater than zero")
    if options.transaction_duration_ms is not None and options.transaction_duration_ms <= 0:
        parser.error("--transaction-duration-ms should be greater than zero")
    if options.print_metrics:
        parser.error("--print-metrics would print metrics of Java's producer; --json prints all figures there are")


def transaction_duration_ms(options: argparse.Namespace, properties: dict[str, str]) -> int | None:
    """How long each transaction lasts, None without any. Sets `transactional.id` in `properties`."""
    if options.transactional_id:
        properties["transactional.id"] = options.transactional_id
    duration: int | None = options.transaction_duration_ms
    if duration is not None:
        properties.setdefault("transactional.id", f"performance-producer-{uuid.uuid4()}")
    elif "transactional.id" in properties:
        duration = TRANSACTION_MS
    return duration


def payloads(options: argparse.Namespace) -> Callable[[int], bytes]:
    """The value of each record by its number. Raises: ConfigError for a file without values."""
    if options.payload_monotonic:
        return lambda number: b"%d" % number
    if options.payload_file is not None:
        path = Path(options.payload_file)
        values = read_values(path, options.payload_delimiter.encode().decode("unicode_escape"))
        if not options.json:
            print(f"Reading payloads from: {path.absolute()}\nNumber of messages read: {len(values)}")
        return lambda _: random.choice(values)
    # As Kafka's: one random value, the same for all.
    value = bytes(random.choices(range(ord("A"), ord("Z") + 1), k=options.record_size))
    return lambda _: value


def read_values(path: Path, delimiter: str) -> list[bytes]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"File does not exist or empty file provided: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError("--payload-file", str(path), "the file must hold UTF-8 text") from None
    values = [value.encode() for value in text.removesuffix(delimiter).split(delimiter)] if text else []
    if not values:
        raise CommandError(f"File does not exist or empty file provided: {path}")
    return values
