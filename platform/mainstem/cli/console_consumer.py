"""`mainstem console-consumer`: the records of a topic, one a line. The flags of `kafka-console-consumer.sh`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

from mainstem.cli.arguments import Parser, given, key_values, properties_file
from mainstem.cli.deserializers import DeserializeError, deserializer
from mainstem.cli.lines import RecordFormat
from mainstem.cli.output import closed_pipe, print_error
from mainstem.client.connection import Connection
from mainstem.client.consumer import ConsoleConsumer, Consumed

EXAMPLES = (
    "mainstem console-consumer --bootstrap-server localhost:9092 --topic orders --from-beginning",
    "mainstem console-consumer --bootstrap-server localhost:9092 --topic orders --group billing"
    " --property print.key=true",
    "mainstem console-consumer --bootstrap-server localhost:9092 --topic orders --partition 0 --offset 42"
    " --max-messages 10",
)
DEFAULT_FORMATTER, LOGGING_FORMATTER, NO_FORMATTER = (
    "DefaultMessageFormatter",
    "LoggingMessageFormatter",
    "NoOpMessageFormatter",
)
INTERNAL_FORMATTERS = ("OffsetsMessageFormatter", "GroupMetadataMessageFormatter", "TransactionLogMessageFormatter")
FORMATTERS = (DEFAULT_FORMATTER, LOGGING_FORMATTER, NO_FORMATTER, *INTERNAL_FORMATTERS)
ISOLATION_LEVELS = ("read_uncommitted", "read_committed")
AUTO_GROUPS = 100_000
EXIT_TERMINATED = 143


class _Terminated(Exception):
    """SIGTERM: leave as after the last record, but with the status that tells of a signal."""


def main(arguments: Sequence[str]) -> int:
    parser = consumer_parser()
    options = parser.read(arguments)
    check(parser, options)
    line = record_line(parser, options)
    connection = Connection(bootstrap_servers=options.bootstrap_server, properties=consumer_properties(parser, options))
    connection.probe()
    processed = 0

    def write(record: Consumed | None) -> bool:
        """False when enough has been printed."""
        nonlocal processed
        if record is None:
            sys.stdout.buffer.flush()
            return True
        processed += 1
        try:
            sys.stdout.buffer.write(line(record))
        except DeserializeError as error:
            if not options.skip_message_on_error:
                raise
            print_error(f"Error processing message, skipping this message: {error}")
        return bool(processed != options.max_messages)

    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        with ConsoleConsumer(connection) as consumer:
            start(consumer, options)
            consume(consumer, options, write)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        print_error("Unable to write to standard out, closing consumer.")
        return closed_pipe()
    except _Terminated:
        return EXIT_TERMINATED
    finally:
        signal.signal(signal.SIGTERM, before)
        print_error(f"Processed a total of {processed} messages")
        if options.enable_systest_events:
            print(json.dumps({"timestamp": time.time_ns() // 1_000_000, "name": "shutdown_complete"}), flush=True)
    return 0


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def consumer_parser() -> Parser:
    parser = Parser("console-consumer", "Print the records of a topic, one a line.", EXAMPLES)
    parser.connection()
    parser.value("--topic", "TOPIC", "the topic to read")
    parser.value("--include", "REGEX", "read all topics whose names match")
    parser.value("--partition", "N", "read this partition only, without a group", kind=int)
    parser.value("--offset", "OFFSET", "with --partition: where to start, a number or earliest or latest")
    parser.flag("--from-beginning", "start with the oldest record where the group has no offset yet")
    parser.value("--max-messages", "N", "end after this many records", kind=int)
    parser.value("--timeout-ms", "MS", "end if no record comes for this long", kind=int)
    parser.value("--group", "GROUP", "the group to read in, whose offsets are committed")
    parser.choice(
        "--isolation-level",
        "LEVEL",
        "whether to leave out open and aborted transactions",
        ISOLATION_LEVELS,
        is_checked=False,
    )
    parser.values("--consumer-property", "KEY=VALUE", "a property of the consumer; may be repeated")
    parser.value("--consumer.config", "FILE", "properties of the consumer from a file")
    parser.values(
        "--property",
        "KEY=VALUE",
        "what is printed: print.key, print.value, print.timestamp, print.partition, print.offset, print.epoch,"
        " print.headers (true or false), key.separator, line.separator, headers.separator, null.literal,"
        " key.deserializer, value.deserializer, headers.deserializer; may be repeated",
    )
    parser.value("--formatter-config", "FILE", "the same from a file")
    parser.values("--formatter-property", "KEY=VALUE", "the same as --property, as newer versions of Kafka call it")
    parser.choice(
        "--formatter", "NAME", "how records are printed", FORMATTERS, default=DEFAULT_FORMATTER, is_checked=False
    )
    parser.flag("--json", "print each record as a JSON object, with its place, time and headers")
    parser.flag("--enable-systest-events", "say as JSON when the consumer ends")
    parser.value("--key-deserializer", "NAME", "how keys become text, by the name of Kafka's class")
    parser.value("--value-deserializer", "NAME", "how values become text, by the name of Kafka's class")
    parser.flag("--skip-message-on-error", "go on after a record that cannot be printed")
    return parser


def check(parser: Parser, options: argparse.Namespace) -> None:
    """What Kafka's tool refuses. Raises: UsageError."""
    if given(options, "--topic") == given(options, "--include"):
        parser.error("Exactly one of --include/--topic is required.")
    if options.partition is not None:
        if options.topic is None:
            parser.error("The topic is required when partition is specified.")
        if options.from_beginning and options.offset is not None:
            parser.error("Options from-beginning and offset cannot be specified together.")
        if options.group is not None:
            parser.error("Options group and partition cannot be specified together.")
    elif options.offset is not None:
        parser.error("The partition is required when offset is specified.")
    if options.offset is not None and options.offset not in ("earliest", "latest") and not _is_offset(options.offset):
        parser.error(
            f"The provided offset value '{options.offset}' is incorrect."
            " Valid values are 'earliest', 'latest', or a non-negative long."
        )
    if options.isolation_level is not None and options.isolation_level not in ISOLATION_LEVELS:
        parser.error(f"{options.isolation_level} is not an isolation level, which are {', '.join(ISOLATION_LEVELS)}")


def _is_offset(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) < 1 << 63


def record_line(parser: Parser, options: argparse.Namespace) -> Callable[[Consumed], bytes]:
    """Raises: UsageError, ConfigError."""
    if options.json:
        if options.property or options.formatter_property or options.formatter != DEFAULT_FORMATTER:
            parser.error("--json prints everything there is: leave --property and --formatter away")
        return json_line(options.key_deserializer or "", options.value_deserializer or "")
    name = options.formatter.rpartition(".")[2]
    if name not in FORMATTERS:
        parser.error(f"{options.formatter} is not a formatter, which are {', '.join(FORMATTERS)}")
    if name in INTERNAL_FORMATTERS:
        from mainstem.cli.internal_formatters import formatter

        return formatter(name)
    properties = properties_file(options.formatter_config)
    if options.key_deserializer:
        properties["key.deserializer"] = options.key_deserializer
    if options.value_deserializer:
        properties["value.deserializer"] = options.value_deserializer
    printer = RecordFormat.read(properties | key_values([*options.property, *options.formatter_property])).printer()
    # Kafka's logging formatter also writes to the log of its tool, which shows nothing below a warning.
    return printer if name != NO_FORMATTER else lambda record: b""


def json_line(key_name: str, value_name: str) -> Callable[[Consumed], bytes]:
    """Bytes that are no text become text with replacement characters. Raises: ConfigError."""
    read_key, read_value = deserializer("key.deserializer", key_name), deserializer("value.deserializer", value_name)

    def text(value: bytes | None) -> str | None:
        return None if value is None else value.decode("utf-8", "replace")

    def line(record: Consumed) -> bytes:
        document = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp_ms": record.timestamp_ms if record.timestamp_type else None,
            "timestamp_type": record.timestamp_type,
            "headers": [[name, text(value)] for name, value in record.headers],
            "key": None if record.key is None else text(read_key(record.key)),
            "value": None if record.value is None else text(read_value(record.value)),
        }
        return json.dumps(document, ensure_ascii=False).encode() + b"\n"

    return line


def consumer_properties(parser: Parser, options: argparse.Namespace) -> dict[str, str]:
    """Raises: UsageError for properties that contradict flags."""
    properties = (
        properties_file(options.command_config)
        | properties_file(options.consumer_config)
        | key_values(options.consumer_property)
    )
    groups = {group for group in (options.group, properties.get("group.id")) if group}
    if len(groups) > 1:
        parser.error(
            "The group ids provided in different places (directly using '--group', via '--consumer-property',"
            " or via '--consumer.config') do not match."
            f" Detected group ids: {', '.join(repr(group) for group in sorted(groups))}"
        )
    reset = properties.setdefault("auto.offset.reset", "earliest" if options.from_beginning else "latest")
    if options.from_beginning and reset != "earliest":
        parser.error(
            f"Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one option"
        )
    properties.setdefault("client.id", "console-consumer")
    properties["isolation.level"] = options.isolation_level or properties.get("isolation.level", ISOLATION_LEVELS[0])
    if groups:
        properties["group.id"] = groups.pop()
    else:
        # A group of its own that leaves no offsets behind, since nobody will ever ask for it again.
        properties["group.id"] = f"console-consumer-{int.from_bytes(os.urandom(4), 'big') % AUTO_GROUPS}"
        properties.setdefault("enable.auto.commit", "false")
    return properties


def start(consumer: ConsoleConsumer, options: argparse.Namespace) -> None:
    if options.partition is not None:
        consumer.assign(
            options.topic, options.partition, options.offset or ("earliest" if options.from_beginning else "latest")
        )
    elif options.topic is not None:
        consumer.subscribe(options.topic)
    else:
        consumer.subscribe_pattern(options.include)


def consume(consumer: ConsoleConsumer, options: argparse.Namespace, write: Callable[[Consumed | None], bool]) -> None:
    if options.max_messages == 0:
        return
    timeout_s = options.timeout_ms / 1000 if options.timeout_ms is not None and options.timeout_ms >= 0 else None
    for record in consumer.records(timeout_s):
        if not write(record):
            return
