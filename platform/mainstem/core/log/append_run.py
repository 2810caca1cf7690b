"""Plan many appends at once: a run of plain batches that follow each other and go into the active segment with one write.

Plain is what nearly every batch is: well formed, from a client, within the topic's limits, of no producer or in the sequence of
one that is known. The first batch that is not plain ends the run; `core.log.append` decides about it, one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from crc32c import crc32c

from mainstem.core.log.append import TIMESTAMP_UNLIMITED
from mainstem.core.log.producer_state import ProducerStates, SavedProducer
from mainstem.core.log.retention import INDEX_ENTRY_BYTES, RELATIVE_OFFSET_MAX
from mainstem.model.batch import (
    CODEC_MAX,
    COMPRESSION_MASK,
    CONTROL_BIT,
    CRC_FROM,
    HEADER_BYTES,
    MAGIC,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
)
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.segment import BatchSpan

_HEADER = struct.Struct(">8xi4xbIhiqqqhii")
_OFFSET_LENGTH_EPOCH = struct.Struct(">qii")
_NOT_PLAIN = TIMESTAMP_TYPE_BIT | TRANSACTIONAL_BIT | CONTROL_BIT
_TIMESTAMP_MIN = -(1 << 63)


class RunLimits(NamedTuple):
    """What a plain batch must keep to. Timestamps in ms since 1970; `room` is what the active segment may still take."""

    batch_bytes_max: int
    timestamp_min: int
    timestamp_max: int
    room: int
    last_offset_max: int


class RunPlan(NamedTuple):
    """The plain batches at the head of a run, their places written into them. `saved` undoes it (`ProducerStates.restore`)."""

    spans: list[BatchSpan]
    records_count: int
    size: int
    saved: dict[int, SavedProducer]


def takes_plain_batches(config: TopicConfig) -> bool:
    """Whether batches go into this topic's log as they come: no stamp, no key, no codec has to be looked at."""
    return (
        config.message_timestamp_type == "CreateTime"
        and not config.is_compacted
        and config.compression_type == "producer"
    )


def run_limits(
    config: TopicConfig,
    active_base: int,
    active_size: int,
    index_bytes: int,
    active_first_timestamp: int,
    now_ms: int,
) -> RunLimits:
    """An empty segment takes nothing here: its first batch is told to `should_roll` like any other that is not plain."""
    room = 0
    if active_size and active_first_timestamp >= 0:
        # Each entry of the lookup files stands for more bytes than index.interval.bytes.
        index_room = (config.segment_index_bytes - index_bytes) // INDEX_ENTRY_BYTES * config.index_interval_bytes
        room = min(config.segment_bytes - active_size, index_room)
    before = config.message_timestamp_before_max_ms
    timestamp_max = now_ms + config.message_timestamp_after_max_ms
    return RunLimits(
        config.max_message_bytes,
        _TIMESTAMP_MIN if before == TIMESTAMP_UNLIMITED else now_ms - before,
        min(timestamp_max, active_first_timestamp + config.segment_ms),
        room,
        active_base + RELATIVE_OFFSET_MAX,
    )


def plan_run(
    batches: Sequence[memoryview],
    log_end_offset: int,
    leader_epoch: int,
    producers: ProducerStates,
    limits: RunLimits,
    now_ms: int,
) -> RunPlan:
    """Patches offset and leader epoch into each batch it takes, and notes its producer: `saved` takes that back."""
    batch_bytes_max, timestamp_min, timestamp_max, room, last_offset_max = limits
    spans: list[BatchSpan] = []
    saved: dict[int, SavedProducer] = {}
    next_offset, left = log_end_offset, room
    for batch in batches:
        size = len(batch)
        if not HEADER_BYTES <= size <= batch_bytes_max or size > left:
            break
        length, magic, crc, attributes, delta, base_timestamp, max_timestamp, producer_id, epoch, sequence, count = (
            _HEADER.unpack_from(batch)
        )
        last_offset = next_offset + delta
        if (
            length + 12 != size
            or magic != MAGIC
            or count != delta + 1
            or count <= 0
            or attributes & _NOT_PLAIN
            or attributes & COMPRESSION_MASK > CODEC_MAX
            or max_timestamp > timestamp_max
            or base_timestamp < timestamp_min
            or last_offset > last_offset_max
            or crc32c(batch[CRC_FROM:]) != crc
        ):
            break
        if producer_id >= 0 and not producers.follow(producer_id, epoch, sequence, delta, next_offset, now_ms, saved):
            break
        _OFFSET_LENGTH_EPOCH.pack_into(batch, 0, next_offset, length, leader_epoch)
        spans.append(BatchSpan(size, next_offset, last_offset, max_timestamp))
        next_offset = last_offset + 1
        left -= size
    return RunPlan(spans, next_offset - log_end_offset, room - left, saved)
