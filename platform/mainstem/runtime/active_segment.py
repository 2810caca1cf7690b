"""The segment that a partition appends to: when it is full, and what is written when it closes.

Source: Kafka's `LogSegment.shouldRoll` and `UnifiedLog.roll`, 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.api.storage import PartitionLog
from mainstem.core.log import retention
from mainstem.core.log.append_run import RunLimits, run_limits
from mainstem.core.log.retention import INDEX_ENTRY_BYTES
from mainstem.core.log.state import LogState
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.segment import SegmentInfo
from mainstem.runtime import partition_sidecars


class ActiveSegment:
    """Owned by its partition. `first_timestamp` is -1 while the segment is empty."""

    __slots__ = ("base_offset", "first_timestamp")

    def __init__(self) -> None:
        self.base_offset = 0
        self.first_timestamp = -1

    def adopt(self, segments: Sequence[SegmentInfo]) -> None:
        self.base_offset = segments[-1].base_offset
        self.first_timestamp = segments[-1].first_timestamp

    def limits(self, log: PartitionLog, config: TopicConfig, now_ms: int) -> RunLimits:
        """What a run may put into it."""
        # With usual settings a segment is full long before its index can be: then nobody counts entries.
        index_may_fill = (
            config.segment_bytes * INDEX_ENTRY_BYTES > config.segment_index_bytes * config.index_interval_bytes
        )
        index_bytes = log.active_index_bytes() if index_may_fill else 0
        return run_limits(config, self.base_offset, log.active_size(), index_bytes, self.first_timestamp, now_ms)

    def must_roll(self, log: PartitionLog, config: TopicConfig, size: int, last_offset: int, timestamp: int) -> bool:
        """Before a batch of `size` bytes is appended."""
        return retention.should_roll(
            log.active_size(),
            log.active_index_bytes(),
            self.base_offset,
            self.first_timestamp,
            size,
            last_offset,
            timestamp,
            config,
        )

    def roll(self, log: PartitionLog, state: LogState, end_offset: int, *, is_compacted: bool) -> None:
        """The next one begins at `end_offset`. Raises: StorageError."""
        if is_compacted:
            # Recovery cannot tell a gap that a crash left from one that compaction left, so a crash must leave none.
            log.flush()
        partition_sidecars.write_index(log, state, self.base_offset, end_offset)
        log.roll(end_offset)
        self.base_offset = end_offset
        self.first_timestamp = -1
        partition_sidecars.write_snapshot(log, state, end_offset)
