"""Topics of dead letters: records as they were read, with what went wrong in their headers."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any
from zlib import crc32

import msgspec

from mainstem.api.batch import Batch, SourceBatch
from mainstem.api.transport import Transport, TransportProducer
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.error_policy import Failed

TEXT_BYTES_MAX = 1_000
PREFIX = "mainstem."
PIPELINE = "mainstem.pipeline"
STAGE = "mainstem.error.stage"
ERROR_TYPE = "mainstem.error.type"
MESSAGE = "mainstem.error.message"
STACK_HASH = "mainstem.error.stack-hash"
ATTEMPTS = "mainstem.error.attempts"
SOURCE_TOPIC = "mainstem.source.topic"
SOURCE_PARTITION = "mainstem.source.partition"
SOURCE_OFFSET = "mainstem.source.offset"
SOURCE_SPLIT = "mainstem.source.split"


class DeadLetters:
    """Writes through the producer of the worker, so a letter is there if and only if its record was acknowledged (or more
    than once, where delivery is at least once)."""

    def __init__(self, transport: Transport, pipeline: str, producer: Callable[[], TransportProducer]) -> None:
        self._transport = transport
        self._pipeline = pipeline
        self._producer = producer
        self._counts: dict[str, int] = {}

    async def open(self, topics: set[str]) -> None:
        """Creates those that do not exist, with one partition. Raises: TransportError."""
        for topic in sorted(topics):
            await self._transport.create_topic(topic, 1, {})
            self._counts[topic] = await self._transport.partition_count(topic) or 1

    async def write(self, topic: str, stage: str, failed: Failed, attempts: int) -> None:
        error = failed.error
        headers: list[tuple[str, bytes | None]] = [
            (PIPELINE, self._pipeline.encode()),
            (STAGE, stage.encode()),
            (ERROR_TYPE, type(error).__name__.encode()),
            (MESSAGE, str(error).encode()[:TEXT_BYTES_MAX]),
            (STACK_HASH, _stack_hash(error).encode()),
            (ATTEMPTS, b"%d" % attempts),
        ]
        row = failed.origin.row(failed.row)
        read = failed.origin.read
        partition = 0
        if row is None or read is None or read.raw is None:
            letter = _as_it_is(failed, headers)
        else:
            partition, source = _source_headers(read, row)
            letter = _as_read(read.raw, row, [*headers, *source])
        number = partition % self._counts[topic]
        await self._producer().produce(TopicPartition(topic, number), letter)


def _as_read(raw: Batch, row: int, headers: list[tuple[str, bytes | None]]) -> Batch:
    given = [] if raw.headers is None else [pair for pair in raw.headers[row] if not pair[0].startswith(PREFIX)]
    return Batch(
        keys=[raw.keys[row]],
        values=[raw.values[row]],
        timestamps=[raw.timestamps[row]],
        headers=[[*given, *headers]],
    )


def _source_headers(read: SourceBatch, row: int) -> tuple[int, list[tuple[str, bytes | None]]]:
    """The partition, and what says where the record came from."""
    topic, _, number = read.split.rpartition("-")
    offset = read.offsets[row] if read.offsets else None
    headers: list[tuple[str, bytes | None]] = [(SOURCE_SPLIT, read.split.encode())]
    if not number.isdigit():
        return 0, headers
    headers = [(SOURCE_TOPIC, topic.encode()), (SOURCE_PARTITION, number.encode())]
    if offset is not None:
        headers.append((SOURCE_OFFSET, b"%d" % offset))
    return int(number), headers


def _as_it_is(failed: Failed, headers: list[tuple[str, bytes | None]]) -> Batch:
    """Of a record that was made on the way, or that a connector read: key and value as JSON, or as text where JSON cannot."""
    batch, index = failed.batch, failed.row
    return Batch(
        keys=[_plain(batch.keys[index])],
        values=[_plain(batch.values[index])],
        timestamps=[batch.timestamps[index]],
        headers=[headers],
    )


def _plain(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    try:
        return msgspec.json.encode(value)
    except TypeError:
        return repr(value).encode()


def _stack_hash(error: BaseException) -> str:
    """The same for every error from the same lines of code, so that letters can be counted by cause."""
    frames = traceback.extract_tb(error.__traceback__)
    place = "|".join(f"{frame.name}:{frame.line}" for frame in frames)
    return f"{crc32(f'{type(error).__name__}|{place}'.encode()):08x}"
