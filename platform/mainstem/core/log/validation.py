"""Look at the records inside a client's batch, and write it anew in the topic's codec, where its topic needs that.

Most topics do not (`needs_records`), and their batches are never decoded. What is found wrong is told record by record (KIP-467).
Source: Kafka's `LogValidator`, 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mainstem.core.log.append import TIMESTAMP_UNLIMITED
from mainstem.model.batch import COMPRESSION_MASK, BatchHeader, read_header
from mainstem.model.batch_records import BatchRecord, read_records, rebuild
from mainstem.model.compression import Codec, CorruptRecords, compress
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode


class RecordError(NamedTuple):
    """`batch_index` counts the records of the batch from 0."""

    batch_index: int
    message: str


class CheckedBatch(NamedTuple):
    """The batch to append, or why it is refused."""

    error: ErrorCode
    batch: bytes | bytearray | memoryview
    header: BatchHeader
    message: str | None = None
    record_errors: Sequence[RecordError] = ()


def needs_records(config: TopicConfig) -> bool:
    """Computed when a topic's settings change, so that other topics' appends pay nothing."""
    return config.is_compacted or config.compression_type != "producer"


def check_records(
    data: bytes | bytearray | memoryview, header: BatchHeader, config: TopicConfig, now_ms: int
) -> CheckedBatch:
    """`data` is one whole batch that `core.log.append` accepts."""
    codec = _target_codec(header, config)
    if codec == header.codec and not config.is_compacted:
        return CheckedBatch(ErrorCode.NONE, data, header)
    try:
        records = read_records(memoryview(data), header)
    except CorruptRecords as error:
        return CheckedBatch(ErrorCode.INVALID_RECORD, data, header, str(error))
    problems = [e for index, record in enumerate(records) for e in _problems(index, record, header, config)]
    if problems:
        return CheckedBatch(ErrorCode.INVALID_RECORD, data, header, _summary(problems), problems)
    late = [e for index, record in enumerate(records) for e in _time_problems(index, record, config, now_ms)]
    if late:
        return CheckedBatch(ErrorCode.INVALID_TIMESTAMP, data, header, _summary(late), late)
    if codec == header.codec:
        return CheckedBatch(ErrorCode.NONE, data, header)
    level = _level(codec, config)
    changed = header._replace(attributes=header.attributes & ~COMPRESSION_MASK | codec)
    batch = bytearray(rebuild(changed, records, recompress=lambda plain: compress(codec, plain, level)))
    if len(batch) > config.max_message_bytes:
        size = f"the record batch has {len(batch)} bytes in the topic's codec, max.message.bytes is"
        return CheckedBatch(ErrorCode.MESSAGE_TOO_LARGE, data, header, f"{size} {config.max_message_bytes}")
    return CheckedBatch(ErrorCode.NONE, batch, read_header(batch))


def _problems(index: int, record: BatchRecord, header: BatchHeader, config: TopicConfig) -> Sequence[RecordError]:
    if record.offset != header.base_offset + index:
        return [RecordError(index, f"the record has offset delta {record.offset - header.base_offset}, not {index}")]
    if record.key is None and config.is_compacted:
        return [RecordError(index, "a compacted topic takes no record without a key")]
    return ()


def _time_problems(index: int, record: BatchRecord, config: TopicConfig, now_ms: int) -> Sequence[RecordError]:
    if config.message_timestamp_type != "CreateTime":
        return ()
    before, after = config.message_timestamp_before_max_ms, config.message_timestamp_after_max_ms
    if record.timestamp - now_ms > after:
        return [RecordError(index, f"timestamp {record.timestamp} is beyond message.timestamp.after.max.ms={after}")]
    if before != TIMESTAMP_UNLIMITED and now_ms - record.timestamp > before:
        return [RecordError(index, f"timestamp {record.timestamp} is beyond message.timestamp.before.max.ms={before}")]
    return ()


def _summary(errors: Sequence[RecordError]) -> str:
    return f"{len(errors)} of the batch's records are refused, the first (index {errors[0].batch_index}): {errors[0].message}"


def _target_codec(header: BatchHeader, config: TopicConfig) -> Codec:
    match config.compression_type:
        case "producer":
            return Codec(header.codec) if header.codec <= Codec.ZSTD else Codec.NONE
        case "uncompressed":
            return Codec.NONE
        case name:
            return Codec[name.upper()]


def _level(codec: Codec, config: TopicConfig) -> int | None:
    match codec:
        case Codec.GZIP:
            return config.compression_gzip_level
        case Codec.LZ4:
            return config.compression_lz4_level
        case Codec.ZSTD:
            return config.compression_zstd_level
        case _:
            return None
