"""`mainstem dlq list|replay TOPIC`: dead letters of pipelines, and their way back."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mainstem.api.batch import Batch
from mainstem.api.transport import Transport, TransportProducer
from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.output import print_json, tabbed_table
from mainstem.cli.pipeline_tools import broker_flags, with_transport
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.dead_letters import (
    ATTEMPTS,
    ERROR_TYPE,
    MESSAGE,
    PIPELINE,
    PREFIX,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TOPIC,
    STACK_HASH,
    STAGE,
)

READ_RECORDS, READ_WAIT_MS, WAITS_MAX = 5_000, 200, 50
MESSAGE_SHOWN = 60
ACTIONS = ("list", "replay")
EXAMPLES = (
    "mainstem dlq list orders-dead",
    "mainstem dlq list orders-dead --by-cause --broker kafka://localhost:9092",
    "mainstem dlq replay orders-dead --stage parse",
    "mainstem dlq replay orders-dead --to orders-retry --from-offset 120",
)


class Letter(NamedTuple):
    partition: TopicPartition
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    def fact(self, name: str) -> str:
        return next(((value or b"").decode(errors="replace") for key, value in self.headers if key == name), "")


def main(arguments: Sequence[str]) -> int:
    options = dlq_parser().read(arguments)
    if options.action == "replay":
        return with_transport(options, lambda transport: _replay(transport, options))
    letters = with_transport(options, lambda transport: _letters(transport, options))
    return _print_causes(options, letters) if options.by_cause else _print_letters(options, letters)


def dlq_parser() -> Parser:
    parser = Parser("dlq", "List dead letters, and send them back to where they came from.", EXAMPLES)
    parser.add_argument("action", metavar="ACTION", choices=ACTIONS, help="list or replay")
    parser.add_argument("topic", metavar="TOPIC", help="the topic of dead letters, as in Dlq(topic)")
    parser.value("--stage", "NAME", "only letters of this stage")
    parser.value("--from-offset", "N", "only letters from this offset on", kind=int, default=0)
    parser.value("--limit", "N", "at most so many", kind=int)
    parser.flag("--by-cause", "list: one line for each cause, with how many letters it has")
    parser.value("--to", "TOPIC", "replay: send them there instead of to the topic that they were read from")
    broker_flags(parser)
    parser.flag("--json", "print JSON")
    return parser


async def _letters(transport: Transport, options: argparse.Namespace) -> list[Letter]:
    if await transport.partition_count(options.topic) is None:
        raise CommandError(f"topic {options.topic} does not exist")
    found: list[Letter] = []
    for partition, (start, end) in sorted((await transport.end_offsets(options.topic)).items()):
        found += await _read(transport, partition, max(start, options.from_offset), end)
    wanted = [letter for letter in found if options.stage in (None, letter.fact(STAGE))]
    return wanted if options.limit is None else wanted[: options.limit]


async def _read(transport: Transport, partition: TopicPartition, offset: int, end: int) -> list[Letter]:
    letters: list[Letter] = []
    waits = 0
    while offset < end and waits < WAITS_MAX:
        one = await transport.read(partition, offset, max_records=READ_RECORDS, max_wait_ms=READ_WAIT_MS)
        batch = one.batch
        for row, at in enumerate(one.offsets):
            headers = () if batch.headers is None else batch.headers[row]
            letters.append(
                Letter(partition, at, batch.timestamps[row], batch.keys[row], batch.values[row], list(headers))
            )
        waits = waits + 1 if one.next_offset == offset else 0
        offset = one.next_offset
    return letters


def _print_letters(options: argparse.Namespace, letters: Sequence[Letter]) -> int:
    if options.json:
        print_json([_as_json(letter) for letter in letters])
        return 0
    rows = [
        (
            letter.offset,
            letter.fact(PIPELINE),
            letter.fact(STAGE),
            _source(letter),
            letter.fact(ERROR_TYPE),
            letter.fact(MESSAGE)[:MESSAGE_SHOWN],
        )
        for letter in letters
    ]
    print(tabbed_table(("OFFSET", "PIPELINE", "STAGE", "SOURCE", "ERROR", "MESSAGE"), rows) if rows else "no letters")
    return 0


def _print_causes(options: argparse.Namespace, letters: Sequence[Letter]) -> int:
    causes = Counter((one.fact(STACK_HASH), one.fact(STAGE), one.fact(ERROR_TYPE)) for one in letters)
    example = {one.fact(STACK_HASH): one.fact(MESSAGE) for one in reversed(letters)}
    rows = [(count, *cause, example[cause[0]][:MESSAGE_SHOWN]) for cause, count in causes.most_common()]
    if options.json:
        names = ("letters", "cause", "stage", "error", "message")
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        print(tabbed_table(("LETTERS", "CAUSE", "STAGE", "ERROR", "MESSAGE"), rows) if rows else "no letters")
    return 0


def _source(letter: Letter) -> str:
    topic = letter.fact(SOURCE_TOPIC)
    return f"{topic}-{letter.fact(SOURCE_PARTITION)}:{letter.fact(SOURCE_OFFSET)}" if topic else ""


def _as_json(letter: Letter) -> Mapping[str, object]:
    return {
        "partition": letter.partition.partition,
        "offset": letter.offset,
        "timestamp": letter.timestamp,
        "pipeline": letter.fact(PIPELINE),
        "stage": letter.fact(STAGE),
        "source": _source(letter),
        "error": letter.fact(ERROR_TYPE),
        "message": letter.fact(MESSAGE),
        "attempts": letter.fact(ATTEMPTS),
        "cause": letter.fact(STACK_HASH),
        "key": None if letter.key is None else letter.key.decode(errors="replace"),
        "value": None if letter.value is None else letter.value.decode(errors="replace"),
    }


async def _replay(transport: Transport, options: argparse.Namespace) -> int:
    letters = await _letters(transport, options)
    homeless = [letter for letter in letters if not (options.to or letter.fact(SOURCE_TOPIC))]
    if homeless:
        raise CommandError(
            f"{len(homeless)} letters were read from no topic, the first at offset {homeless[0].offset}; say where with --to"
        )
    producer = transport.producer()
    try:
        for letter in letters:
            await _send(transport, producer, letter, options.to)
        await producer.flush()
    finally:
        await producer.close()
    print(f"{len(letters)} letters were sent; they stay in {options.topic} until its retention ends")
    return 0


async def _send(transport: Transport, producer: TransportProducer, letter: Letter, to: str | None) -> None:
    """As it was read, without what was said of its failure; into the partition that it came from, if there is one."""
    topic = to or letter.fact(SOURCE_TOPIC)
    count = await transport.partition_count(topic)
    if count is None:
        raise CommandError(f"topic {topic} does not exist")
    number = int(letter.fact(SOURCE_PARTITION) or 0) % count
    headers = [pair for pair in letter.headers if not pair[0].startswith(PREFIX)]
    record = Batch(
        keys=[letter.key],
        values=[letter.value],
        timestamps=[letter.timestamp],
        headers=[headers] if headers else None,
    )
    await producer.produce(TopicPartition(topic, number), record)
