"""When to roll the active segment, and up to which offset old segments go.

Sources: KIP-107 (log start offset), KIP-354 (max.compaction.lag.ms closes segments, too);
Kafka's `LogSegment.shouldRoll` and `UnifiedLog.deleteOldSegments`, 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.model.configs.topic import TopicConfig
from mainstem.model.segment import SegmentInfo

INDEX_ENTRY_BYTES = 12
"""Of the larger lookup file, the one by time."""
RELATIVE_OFFSET_MAX = 0x7FFFFFFF


def should_roll(
    active_size: int,
    index_bytes: int,
    base_offset: int,
    first_timestamp: int,
    batch_size: int,
    last_offset: int,
    timestamp: int,
    config: TopicConfig,
) -> bool:
    """Before appending a batch with that size, last offset and max timestamp. Age is counted in record time."""
    if active_size == 0:
        return False
    if active_size + batch_size > config.segment_bytes:
        return True
    if last_offset - base_offset > RELATIVE_OFFSET_MAX or index_bytes + INDEX_ENTRY_BYTES > config.segment_index_bytes:
        return True
    return first_timestamp >= 0 and timestamp - first_timestamp > segment_ms_max(config)


def segment_ms_max(config: TopicConfig) -> int:
    """The active segment is never compacted, so it must not outlive max.compaction.lag.ms."""
    return min(config.segment_ms, config.max_compaction_lag_ms) if config.is_compacted else config.segment_ms


def keep_from(
    segments: Sequence[SegmentInfo],
    log_start_offset: int,
    log_end_offset: int,
    high_watermark: int,
    config: TopicConfig,
    now_ms: int,
) -> int:
    """The log start offset after retention: what DeleteRecords said, or later. `log_end_offset`: all segments go, the active
    one, too. Never beyond the high watermark; a segment without timestamps has no age.
    """
    if "delete" not in config.cleanup_policy:
        return log_start_offset
    start = log_start_offset
    sizes = sum(s.size for s in segments)
    for slot, segment in enumerate(segments):
        is_active = slot + 1 == len(segments)
        end = log_end_offset if is_active else segments[slot + 1].base_offset
        too_old = config.retention_ms >= 0 and 0 <= segment.max_timestamp < now_ms - config.retention_ms
        too_much = config.retention_bytes >= 0 and sizes - segment.size >= config.retention_bytes
        is_below_start = end <= log_start_offset and not is_active
        if end > high_watermark or (is_active and segment.size == 0):
            break
        if not (too_old or too_much or is_below_start):
            break
        sizes -= segment.size
        start = max(start, end)
    return start
