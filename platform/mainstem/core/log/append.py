"""Plan one append: is this batch acceptable here, and which offsets does it get? Nothing is decoded but the header.

Source: Kafka's `LogValidator` and `UnifiedLog.analyzeAndValidateRecords`, 4.1.
"""

from __future__ import annotations

from typing import NamedTuple

from mainstem.core.log.producer_state import KeptBatch, ProducerStates
from mainstem.core.log.transactions import read_marker
from mainstem.core.log.verification import Admission
from mainstem.model.batch import (
    CODEC_MAX,
    CONTROL_BIT,
    HEADER_BYTES,
    MAGIC,
    TRANSACTIONAL_BIT,
    BatchHeader,
    crc_matches,
    read_header,
)
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode

TIMESTAMP_UNLIMITED = (1 << 63) - 1


class AppendPlan(NamedTuple):
    """`error` NONE and `is_duplicate` false: write it. A duplicate is answered with the offsets it got the first time."""

    error: ErrorCode
    message: str | None
    header: BatchHeader | None
    base_offset: int
    last_offset: int
    is_duplicate: bool


def refuse(error: ErrorCode, message: str | None = None) -> AppendPlan:
    return AppendPlan(error, message, None, -1, -1, False)


def plan_append(
    data: bytes | bytearray | memoryview,
    log_end_offset: int,
    producers: ProducerStates,
    config: TopicConfig,
    now_ms: int,
    *,
    from_client: bool,
    admission: Admission | None = None,
) -> AppendPlan:
    """`data` must be exactly one record batch v2; `admission` is needed for clients' transactional ones."""
    size = len(data)
    if size < HEADER_BYTES:
        if size == 0:
            return refuse(ErrorCode.INVALID_RECORD, "the request holds no record batch for this partition")
        return refuse(
            ErrorCode.CORRUPT_MESSAGE, f"a record batch has at least {HEADER_BYTES} bytes, this one has {size}"
        )
    header = read_header(data)
    if header.magic != MAGIC:
        return refuse(ErrorCode.INVALID_RECORD, f"record batches must have magic 2, this one has {header.magic}")
    if header.batch_length + 12 != size:
        return refuse(*_wrong_length(header, size))
    if size > config.max_message_bytes:
        return refuse(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"the record batch has {size} bytes, max.message.bytes is {config.max_message_bytes}",
        )
    if not crc_matches(data, 0, header):
        return refuse(ErrorCode.CORRUPT_MESSAGE, "the record batch does not match its CRC")
    count = header.records_count
    if count <= 0 or count != header.last_offset_delta + 1:
        return refuse(
            ErrorCode.INVALID_RECORD,
            f"the batch says {count} records and a last offset delta of {header.last_offset_delta}",
        )
    if header.codec > CODEC_MAX:
        return refuse(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"there is no compression codec {header.codec}")
    if from_client:
        if header.attributes & CONTROL_BIT:
            return refuse(ErrorCode.INVALID_RECORD, "clients may not write control records")
        if header.attributes & TRANSACTIONAL_BIT and (admission is None or header.producer_id < 0):
            return refuse(
                ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                "transactional records need their producer's transactional id",
            )
        problem = _timestamp_problem(header, config, now_ms)
        if problem is not None:
            return refuse(ErrorCode.INVALID_TIMESTAMP, problem)
    if header.producer_id >= 0:
        if header.base_sequence < 0 and from_client:
            return refuse(ErrorCode.INVALID_RECORD, "a batch with a producer id needs a sequence number")
        is_marker = header.attributes & CONTROL_BIT
        if is_marker:
            checked: ErrorCode | KeptBatch = _check_marker(header, data, producers)
        else:
            checked = producers.check(header, from_client=from_client, admission=admission)
        if not isinstance(checked, ErrorCode):
            return AppendPlan(ErrorCode.NONE, None, header, checked.first_offset, checked.last_offset, True)
        if checked is not ErrorCode.NONE:
            return refuse(checked, f"producer {header.producer_id} epoch {header.producer_epoch}: {checked.name}")
    last_offset = log_end_offset + header.last_offset_delta
    return AppendPlan(ErrorCode.NONE, None, header, log_end_offset, last_offset, False)


def _check_marker(header: BatchHeader, data: bytes | bytearray | memoryview, producers: ProducerStates) -> ErrorCode:
    marker = read_marker(header, data)
    return ErrorCode.NONE if marker is None else producers.check_marker(header, marker)


def _wrong_length(header: BatchHeader, size: int) -> tuple[ErrorCode, str]:
    if HEADER_BYTES <= header.size < size:
        return ErrorCode.INVALID_RECORD, "only one record batch per partition is allowed in a Produce request"
    return ErrorCode.CORRUPT_MESSAGE, f"the record batch says {header.size} bytes, {size} were sent"


def _timestamp_problem(header: BatchHeader, config: TopicConfig, now_ms: int) -> str | None:
    if config.message_timestamp_type != "CreateTime":
        return None
    if header.max_timestamp - now_ms > config.message_timestamp_after_max_ms:
        return (
            f"timestamp {header.max_timestamp} is more than message.timestamp.after.max.ms="
            f"{config.message_timestamp_after_max_ms} ahead of the broker's clock"
        )
    before = config.message_timestamp_before_max_ms
    if before != TIMESTAMP_UNLIMITED and now_ms - header.base_timestamp > before:
        return f"timestamp {header.base_timestamp} is more than message.timestamp.before.max.ms={before} in the past"
    return None
