"""Which log is compacted next, and how far.

    base offset    0         100        200        300        400        500 (active)
                   [ clean   |  clean   |  dirty   |  dirty   | too new ][ active ]
                                        ^ first dirty         ^ first uncleanable = min(last stable offset, active segment,
    dirty ratio = bytes(200..400) / bytes(0..400)                first segment younger than min.compaction.lag.ms)

Sources: KIP-58, KIP-354; Kafka's `LogCleanerManager`, `LogToClean` and `Cleaner`, 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from mainstem.core.log.retention import INDEX_ENTRY_BYTES, RELATIVE_OFFSET_MAX
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.segment import SegmentInfo


class Cleanable(NamedTuple):
    """What could be compacted of one log. `delay_ms`: how much longer than max.compaction.lag.ms it has waited, 0 if not."""

    first_dirty_offset: int
    first_uncleanable_offset: int
    clean_bytes: int
    dirty_bytes: int
    delay_ms: int

    @property
    def dirty_ratio(self) -> float:
        total = self.clean_bytes + self.dirty_bytes
        return self.dirty_bytes / total if total else 0.0

    def is_due(self, config: TopicConfig) -> bool:
        if self.dirty_bytes == 0:
            return False
        return self.delay_ms > 0 or self.dirty_ratio > config.min_cleanable_dirty_ratio


def find_cleanable(
    segments: Sequence[SegmentInfo],
    checkpoint: int | None,
    log_start_offset: int,
    last_stable_offset: int,
    config: TopicConfig,
    now_ms: int,
) -> Cleanable:
    """`checkpoint` is where the last compaction ended, None if there was none."""
    active = segments[-1].base_offset
    first_dirty = log_start_offset if checkpoint is None else max(checkpoint, log_start_offset)
    if first_dirty > active:
        # The log lost its end since then: what was written anew was never compacted.
        first_dirty = min(log_start_offset, active)
    limit = min(last_stable_offset, active)
    dirty = [s for s, after in pairwise(segments) if after.base_offset > first_dirty]
    if config.min_compaction_lag_ms > 0:
        young = now_ms - config.min_compaction_lag_ms
        limit = min(limit, next((s.base_offset for s in dirty if s.max_timestamp > young), limit))
    # Segments are compacted whole: the one that contains the limit waits.
    ends = [after.base_offset for _, after in pairwise(segments) if first_dirty < after.base_offset <= limit]
    first_uncleanable = ends[-1] if ends else first_dirty
    cleanable = [s for s in dirty if s.base_offset < first_uncleanable]
    return Cleanable(
        first_dirty,
        first_uncleanable,
        sum(s.size for s in segments if s.base_offset < first_uncleanable) - sum(s.size for s in cleanable),
        sum(s.size for s in cleanable),
        _delay_ms(dirty, config, now_ms),
    )


def _delay_ms(dirty: Sequence[SegmentInfo], config: TopicConfig, now_ms: int) -> int:
    earliest = min((s.first_timestamp for s in dirty if s.first_timestamp > 0), default=None)
    return 0 if earliest is None else max(0, now_ms - config.max_compaction_lag_ms - earliest)


class SegmentGroup(NamedTuple):
    """Neighbours that become one segment; offsets in [base_offset, end_offset)."""

    base_offset: int
    end_offset: int
    segments: Sequence[SegmentInfo]


def group_segments(segments: Sequence[SegmentInfo], end_offset: int, config: TopicConfig) -> list[SegmentGroup]:
    """All closed segments that begin below `end_offset`, so that each group fits one segment in bytes, index and offsets."""
    groups: list[SegmentGroup] = []
    run: list[SegmentInfo] = []
    for segment, after in pairwise(segments):
        if segment.base_offset >= end_offset:
            break
        if run and not _fits(run, segment, after.base_offset, config):
            groups.append(SegmentGroup(run[0].base_offset, segment.base_offset, run))
            run = []
        run.append(segment)
        if after.base_offset >= end_offset or after is segments[-1]:
            groups.append(SegmentGroup(run[0].base_offset, after.base_offset, run))
    return groups


def _fits(run: Sequence[SegmentInfo], segment: SegmentInfo, end_offset: int, config: TopicConfig) -> bool:
    size = sum(s.size for s in run) + segment.size
    index_bytes = size // max(1, config.index_interval_bytes) * INDEX_ENTRY_BYTES
    if size > config.segment_bytes or index_bytes > config.segment_index_bytes:
        return False
    # Empty segments join in any case, or a log of nothing but deleted keys would keep one for every 2^31 offsets.
    return segment.size == 0 or end_offset - 1 - run[0].base_offset <= RELATIVE_OFFSET_MAX
