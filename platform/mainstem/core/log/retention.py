"""When to roll the active segment, and up to which offset old segments go.

Source: Kafka's `LogSegment.shouldRoll` and `UnifiedLog.deleteOldSegments`, 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.model.configs.topic import TopicConfig
from mainstem.model.segment import SegmentInfo

RELATIVE_OFFSET_MAX = 0x7FFFFFFF


def should_roll(
    active_size: int,
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
    if last_offset - base_offset > RELATIVE_OFFSET_MAX:
        return True
    return first_timestamp >= 0 and timestamp - first_timestamp > config.segment_ms


def delete_before(segments: Sequence[SegmentInfo], high_watermark: int, config: TopicConfig, now_ms: int) -> int | None:
    """The new log start offset if old segments must go, else None. Never beyond the high watermark, never the active one."""
    if "delete" not in config.cleanup_policy:
        return None
    keep_from = 0
    sizes = sum(s.size for s in segments)
    for slot, segment in enumerate(segments[:-1]):
        too_old = config.retention_ms >= 0 and 0 <= segment.max_timestamp < now_ms - config.retention_ms
        too_much = config.retention_bytes >= 0 and sizes - segment.size >= config.retention_bytes
        if not (too_old or too_much) or segments[slot + 1].base_offset > high_watermark:
            break
        sizes -= segment.size
        keep_from = slot + 1
    return segments[keep_from].base_offset if keep_from else None
