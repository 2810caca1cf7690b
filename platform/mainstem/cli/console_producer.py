"""`mainstem console-producer`: lines of standard input become records. The flags of `kafka-console-producer.sh`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import IO

from mainstem.cli.arguments import Parser, key_values, properties_file
from mainstem.cli.lines import LineFormat, LineReader, Record
from mainstem.cli.output import print_error, print_json
from mainstem.client.connection import Connection
from mainstem.client.producer import ConsoleProducer

EXAMPLES = (
    "mainstem console-producer --bootstrap-server localhost:9092 --topic orders",
    "mainstem console-producer --bootstrap-server localhost:9092 --topic orders"
    " --property parse.key=true --property key.separator=:",
    "mainstem console-producer --bootstrap-server localhost:9092 --topic orders --compression-codec zstd < file",
)
ACKS = ("0", "1", "-1", "all")
LINE_READER = "LineMessageReader"
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
BATCH_BYTES = 16384
LINGER_MS = 1000


def main(arguments: Sequence[str]) -> int:
    parser = producer_parser()
    options = parser.read(arguments)
    parser.require(options, "--topic")
    if options.compression_codec not in CODECS:
        parser.error(f"{options.compression_codec} is not a compression codec, which are {', '.join(CODECS)}")
    if options.line_reader.rpartition(".")[2] != LINE_READER:
        parser.error(f"{options.line_reader} is a class for Java; lines are read as Kafka's own {LINE_READER} does")
    reader_properties = properties_file(options.reader_config)
    reader_properties |= key_values([*options.property, *options.reader_property])
    line_format = LineFormat.read(reader_properties)
    connection = Connection(
        bootstrap_servers=options.bootstrap_server,
        properties=properties_file(options.command_config)
        | properties_file(options.producer_config)
        | flag_properties(options)
        | key_values(options.producer_property),
    )
    connection.probe()
    sent = 0
    with ConsoleProducer(connection, options.topic, print_error) as producer:
        for record in prompted(LineReader(line_format), sys.stdin.buffer):
            producer.send(record.key, record.value, record.headers, wait=options.sync)
            sent += 1
    if options.json:
        print_json({"topic": options.topic, "sent": sent - producer.failures, "failed": producer.failures})
    return 0 if producer.failures == 0 else 1


def producer_parser() -> Parser:
    parser = Parser("console-producer", "Send every line of standard input as a record to a topic.", EXAMPLES)
    parser.connection()
    parser.value("--topic", "TOPIC", "the topic to send to")
    parser.flag("--sync", "wait for each record to be acknowledged before the next is sent")
    parser.add_argument(
        "--compression-codec",
        metavar="CODEC",
        nargs="?",
        const="gzip",
        default="none",
        help=f"one of {', '.join(CODECS)}; gzip if none is named",
    )
    parser.suggested["compression_codec"] = CODECS
    parser.choice(
        "--request-required-acks", "ACKS", "how many replicas must have a record", ACKS, default="-1", is_checked=False
    )
    parser.value("--request-timeout-ms", "MS", "how long brokers may take to acknowledge", kind=int)
    parser.value("--message-send-max-retries", "N", "how often a failed send is repeated", kind=int)
    parser.value("--retry-backoff-ms", "MS", "how long to wait before a send is repeated", kind=int)
    parser.value("--timeout", "MS", "how long a record may wait for others to fill its batch", kind=int)
    parser.value("--batch-size", "BYTES", "how large a batch may become", kind=int)
    parser.value("--max-partition-memory-bytes", "BYTES", "the same, and wins", kind=int)
    parser.value("--max-memory-bytes", "BYTES", "how much may wait to be sent", kind=int)
    parser.value("--max-block-ms", "MS", "accepted and without meaning: a full queue is waited for", kind=int)
    parser.value("--metadata-expiry-ms", "MS", "how often the cluster is asked what it looks like", kind=int)
    parser.value("--socket-buffer-size", "BYTES", "size of the send buffer", kind=int)
    parser.values("--producer-property", "KEY=VALUE", "a property of the producer; may be repeated")
    parser.value("--producer.config", "FILE", "properties of the producer from a file")
    parser.values(
        "--property",
        "KEY=VALUE",
        "how lines are read: parse.key, parse.headers, key.separator, headers.delimiter, headers.separator,"
        " headers.key.separator, ignore.error, null.marker; may be repeated",
    )
    parser.values("--reader-property", "KEY=VALUE", "the same as --property, as newer versions of Kafka call it")
    parser.flag("--json", "print at the end how many records were sent and how many failed")
    parser.value("--reader-config", "FILE", "the same from a file")
    parser.value("--line-reader", "CLASS", f"refused unless it is Kafka's own {LINE_READER}", default=LINE_READER)
    return parser


def flag_properties(options: argparse.Namespace) -> dict[str, str]:
    """Client properties that have flags of their own."""
    batch_size = options.max_partition_memory_bytes or options.batch_size or BATCH_BYTES
    values = {
        "client.id": "console-producer",
        "compression.type": options.compression_codec,
        "acks": options.request_required_acks,
        "linger.ms": LINGER_MS if options.timeout is None else options.timeout,
        "batch.size": batch_size,
        "request.timeout.ms": options.request_timeout_ms,
        "retries": options.message_send_max_retries,
        "retry.backoff.ms": options.retry_backoff_ms,
        "metadata.max.age.ms": options.metadata_expiry_ms,
        "send.buffer.bytes": options.socket_buffer_size,
        "queue.buffering.max.kbytes": max(1, options.max_memory_bytes // 1024) if options.max_memory_bytes else None,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def prompted(reader: LineReader, source: IO[bytes]) -> Iterator[Record]:
    """Records of the input's lines; somebody who types sees a `>` before each."""
    is_typed = sys.stdin.isatty() and sys.stdout.isatty()
    while True:
        if is_typed:
            print(">", end="", flush=True)
        line = source.readline()
        if not line:
            return
        yield reader.record(line.rstrip(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape"))
