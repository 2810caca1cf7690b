from __future__ import annotations

import dataclasses
import struct

import pytest

from mainstem.core.log.append import AppendPlan, plan_append
from mainstem.core.log.producer_state import ProducerStates
from mainstem.model import records
from mainstem.model.batch import CONTROL_BIT, HEADER_BYTES, build, read_header
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode

CONFIG = TopicConfig.resolve({}, BrokerConfig.from_texts({}))
NOW = 1_700_000_000_000


def batch(count: int = 1, timestamp: int = NOW, **fields: int) -> bytearray:
    keys: list[bytes | None] = [b"k"] * count
    values: list[bytes | None] = [b"v"] * count
    return bytearray(records.encode(keys, values, [timestamp] * count, **fields))


def plan(
    data: bytes | bytearray, end: int = 0, config: TopicConfig = CONFIG, producers: ProducerStates | None = None
) -> AppendPlan:
    return plan_append(data, end, producers or ProducerStates(), config, NOW, from_client=True)


def test_good_batch_gets_the_next_offsets() -> None:
    planned = plan(batch(3), end=40)
    assert (planned.error, planned.base_offset, planned.last_offset) == (ErrorCode.NONE, 40, 42)


def damaged(offset: int, raw: bytes) -> bytearray:
    data = batch()
    data[offset : offset + len(raw)] = raw
    return data


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", ErrorCode.INVALID_RECORD),
        (b"x" * 60, ErrorCode.CORRUPT_MESSAGE),
        (damaged(16, b"\x01"), ErrorCode.INVALID_RECORD),
        (damaged(8, struct.pack(">i", 5000)), ErrorCode.CORRUPT_MESSAGE),
        (damaged(8, struct.pack(">i", -1)), ErrorCode.CORRUPT_MESSAGE),
        (damaged(17, b"\0\0\0\0"), ErrorCode.CORRUPT_MESSAGE),
        (damaged(60, b"\x09"), ErrorCode.CORRUPT_MESSAGE),
        (batch() + batch(), ErrorCode.INVALID_RECORD),
        (batch(attributes=CONTROL_BIT), ErrorCode.INVALID_RECORD),
        (batch(timestamp=NOW + 3_600_001), ErrorCode.INVALID_TIMESTAMP),
        (batch(producer_id=5, producer_epoch=0, base_sequence=-1), ErrorCode.INVALID_RECORD),
    ],
    ids=[
        "empty",
        "short",
        "magic",
        "too-long",
        "negative-length",
        "crc",
        "flipped-bit",
        "two",
        "control",
        "future",
        "sequence",
    ],
)
def test_bad_batch_is_refused_with_a_reason(data: bytes, error: ErrorCode) -> None:
    planned = plan(data)
    assert planned.error is error
    assert planned.message


def test_batch_larger_than_max_message_bytes_is_refused() -> None:
    planned = plan(batch(), config=dataclasses.replace(CONFIG, max_message_bytes=60))
    assert planned.error is ErrorCode.MESSAGE_TOO_LARGE


def test_old_timestamps_pass_unless_a_limit_is_set() -> None:
    assert plan(batch(timestamp=1)).error is ErrorCode.NONE
    strict = dataclasses.replace(CONFIG, message_timestamp_before_max_ms=1000)
    assert plan(batch(timestamp=1), config=strict).error is ErrorCode.INVALID_TIMESTAMP
    stamped_by_broker = dataclasses.replace(strict, message_timestamp_type="LogAppendTime")
    assert plan(batch(timestamp=1), config=stamped_by_broker).error is ErrorCode.NONE


def test_retry_is_a_duplicate_with_its_first_offsets() -> None:
    producers = ProducerStates()
    data = batch(2, producer_id=5, producer_epoch=0, base_sequence=0)
    first = plan(data, end=10, producers=producers)
    assert first.header is not None
    producers.apply(first.header, first.base_offset, NOW)
    again = plan(data, end=12, producers=producers)
    assert (again.error, again.is_duplicate, again.base_offset, again.last_offset) == (ErrorCode.NONE, True, 10, 11)


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_codec_that_does_not_exist_is_refused(codec: int) -> None:
    """Its records could never be read."""
    header = read_header(good := batch())
    unknown = build(header._replace(attributes=codec), bytes(good[HEADER_BYTES:]))
    assert plan(unknown).error is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
