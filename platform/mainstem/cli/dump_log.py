"""`mainstem dump-log`: the flags and the output of Kafka's `kafka-dump-log.sh`, for files of a log directory. No broker is asked.

Source: Kafka's `DumpLogSegments`, 4.1. Not done: the decoders of Kafka's cluster metadata, remote log metadata and share groups.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mainstem.cli.arguments import Parser
from mainstem.cli.dump_batches import BatchOptions, dump_batches
from mainstem.cli.dump_indexes import (
    IndexOptions,
    dump_offset_index,
    dump_producer_snapshot,
    dump_time_index,
    dump_transaction_index,
)
from mainstem.cli.dump_lines import DumpError, Findings, Line
from mainstem.cli.output import print_error

MESSAGE_BYTES_MAX_DEFAULT = 5 * 1024 * 1024
EXAMPLES = (
    "mainstem dump-log --files mainstem-data/orders-0/00000000000000000000.log --print-data-log",
    "mainstem dump-log --files mainstem-data/__consumer_offsets-3/00000000000000000000.log --offsets-decoder",
    "mainstem dump-log --files mainstem-data/orders-0/00000000000000000000.index --verify-index-only",
)


def main(arguments: Sequence[str]) -> int:
    parser = dump_log_parser()
    options = parser.read(arguments)
    parser.require(options, "--files")
    for name in ("value_decoder_class", "key_decoder_class"):
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            print_error(f"{flag} names a Java class and is ignored: keys and values are printed as text")
    findings = Findings()
    for name in options.files.split(","):
        path = Path(name)
        if not options.json:
            print(f"Dumping {name}")
        for line in dump_file(path, options, findings):
            print(json.dumps({"file": name, **line.facts}, ensure_ascii=False) if options.json else line.text)
    for problem in findings.lines():
        print_error(problem)
    return 0


def dump_log_parser() -> Parser:
    parser = Parser("dump-log", "Print and check the files of a log directory.", EXAMPLES)
    parser.value(
        "--files", "FILES", "the files to read, separated by commas: .log .index .timeindex .txnindex .snapshot"
    )
    parser.flag("--print-data-log", "print the records as well")
    parser.flag("--deep-iteration", "look at every record even if it is not printed")
    parser.flag("--skip-record-metadata", "print keys and values only")
    parser.flag("--index-sanity-check", "only make the checks of an index that a broker makes when it starts")
    parser.flag("--verify-index-only", "check an index against its log without printing it")
    parser.flag("--offsets-decoder", "decode keys and values as records of __consumer_offsets")
    parser.flag("--transaction-log-decoder", "decode keys and values as records of __transaction_state")
    parser.value(
        "--max-message-size", "BYTES", "size of the largest batch", kind=int, default=MESSAGE_BYTES_MAX_DEFAULT
    )
    parser.value("--max-bytes", "BYTES", "read no more than this of a .log file", kind=int)
    parser.value("--key-decoder-class", "CLASS", "ignored: keys are printed as text")
    parser.value("--value-decoder-class", "CLASS", "ignored: values are printed as text")
    parser.flag("--json", "print a JSON object per line instead")
    return parser


def dump_file(path: Path, options: argparse.Namespace, findings: Findings) -> Iterator[Line]:
    """Raises: DumpError."""
    index_options = IndexOptions(
        is_sanity_check=options.index_sanity_check,
        is_silent=options.verify_index_only,
        message_bytes_max=options.max_message_size,
    )
    dumpers: dict[str, Callable[[], Iterator[Line]]] = {
        ".log": lambda: dump_batches(path, _batch_options(options), findings),
        ".index": lambda: dump_offset_index(path, index_options, findings),
        ".timeindex": lambda: dump_time_index(path, index_options, findings),
        ".txnindex": lambda: dump_transaction_index(path),
        ".snapshot": lambda: dump_producer_snapshot(path),
    }
    dump = dumpers.get(path.suffix)
    if dump is None:
        print_error(f"Ignoring unknown file {path}")
        return
    try:
        yield from dump()
    except OSError as error:
        raise DumpError(str(path), error.strerror or str(error)) from error


def _batch_options(options: argparse.Namespace) -> BatchOptions:
    prints = options.print_data_log or options.offsets_decoder or options.transaction_log_decoder
    return BatchOptions(
        prints_records=prints,
        looks_at_records=options.deep_iteration or prints,
        has_metadata=not options.skip_record_metadata,
        decodes_offsets=options.offsets_decoder,
        decodes_transactions=options.transaction_log_decoder,
        bytes_max=options.max_bytes,
    )
