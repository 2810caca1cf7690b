"""The simplest store: the reference that the conformance suite compares others with."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mainstem.api.files import Buffer
from mainstem.api.storage import BatchSpan, PartitionLog, SegmentInfo
from mainstem.model.batch import BatchHeader, read_header
from mainstem.model.ids import TopicId, TopicPartition


class StoredBatch(NamedTuple):
    data: bytes
    base_offset: int
    last_offset: int
    max_timestamp: int


class MemoryLog:
    """See `api.storage.PartitionLog`. `_rolls` holds the base offset of each segment; a segment exists in name only."""

    def __init__(self) -> None:
        self._batches: list[StoredBatch] = []
        self._rolls = [0]
        self._end_offset = 0
        self._size = 0
        self._active_size = 0
        self._sidecars: dict[tuple[str, int], bytes] = {}

    @property
    def end_offset(self) -> int:
        return self._end_offset

    @property
    def size(self) -> int:
        return self._size

    def active_size(self) -> int:
        return self._active_size

    def segments(self) -> Sequence[SegmentInfo]:
        infos = []
        for slot, base in enumerate(self._rolls):
            end = self._rolls[slot + 1] if slot + 1 < len(self._rolls) else 1 << 63
            low = self._slot(base)
            batches = [b for b in self._batches[low:] if b.base_offset < end]
            infos.append(
                SegmentInfo(
                    base,
                    sum(len(b.data) for b in batches),
                    max((b.max_timestamp for b in batches), default=-1),
                    batches[0].max_timestamp if batches else -1,
                )
            )
        return infos

    def _slot(self, offset: int) -> int:
        """Index of the first batch whose last offset is >= `offset`."""
        return bisect_left(self._batches, offset, key=lambda b: b.last_offset)

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        whole = bytes(data[0]) if len(data) == 1 else b"".join(data)
        position = 0
        for span in spans:
            batch = whole if span.size == len(whole) else whole[position : position + span.size]
            self._batches.append(StoredBatch(batch, span.base_offset, span.last_offset, span.max_timestamp))
            position += span.size
        self._end_offset = spans[-1].last_offset + 1
        self._size += len(whole)
        self._active_size += len(whole)

    def read(self, offset: int, end_offset: int, max_bytes: int, *, may_block: bool = True) -> Buffer:
        slot = first = self._slot(offset)
        size = 0
        while slot < len(self._batches) and self._batches[slot].last_offset < end_offset:
            size += len(self._batches[slot].data)
            if size > max_bytes and slot > first:
                break
            slot += 1
            if size >= max_bytes:
                break
        if slot - first == 1:
            return self._batches[first].data
        return b"".join(b.data for b in self._batches[first:slot])

    def offset_for_time(self, timestamp: int, end_offset: int) -> int | None:
        for batch in self._batches:
            if batch.base_offset >= end_offset:
                return None
            if batch.max_timestamp >= timestamp:
                return batch.base_offset
        return None

    def recover(self, from_offset: int, accept: Callable[[BatchHeader, memoryview], bool]) -> None:
        slot = self._slot(from_offset)
        while slot < len(self._batches):
            batch = self._batches[slot]
            if not accept(read_header(batch.data), memoryview(batch.data)):
                self._cut(slot, batch.base_offset)
                return
            slot += 1

    def _cut(self, slot: int, end: int) -> None:
        self._size -= sum(len(b.data) for b in self._batches[slot:])
        del self._batches[slot:]
        self._rolls = [r for r in self._rolls if r <= end] or [end]
        self._end_offset = end
        self._active_size = self.segments()[-1].size

    def roll(self, base_offset: int) -> None:
        if self._rolls[-1] != base_offset:
            self._rolls.append(base_offset)
            self._active_size = 0

    def truncate(self, offset: int) -> None:
        slot = self._slot(offset)
        if slot < len(self._batches):
            self._cut(slot, self._batches[slot].base_offset)

    def delete_before(self, offset: int) -> Sequence[int]:
        keep = bisect_right(self._rolls, offset) - 1
        if keep <= 0:
            return []
        gone, self._rolls = self._rolls[:keep], self._rolls[keep:]
        slot = self._slot(self._rolls[0])
        self._size -= sum(len(b.data) for b in self._batches[:slot])
        del self._batches[:slot]
        return gone

    def reset(self, offset: int) -> None:
        self._batches.clear()
        self._rolls = [offset]
        self._end_offset = offset
        self._size = self._active_size = 0

    def flush(self) -> None:
        """Nothing to do: memory is lost with the process whatever one does."""

    def put_sidecar(self, kind: str, offset: int, content: bytes) -> None:
        self._sidecars[kind, offset] = content

    def get_sidecar(self, kind: str, offset: int) -> bytes:
        return self._sidecars[kind, offset]

    def sidecars(self, kind: str) -> Sequence[int]:
        return sorted(offset for k, offset in self._sidecars if k == kind)

    def delete_sidecar(self, kind: str, offset: int) -> None:
        self._sidecars.pop((kind, offset), None)

    def close(self) -> None:
        """Kept for the next `open_log` of the same store."""


class MemoryStore:
    """See `api.storage.LogStore`."""

    place = "memory"
    was_clean = True

    def __init__(self) -> None:
        self._logs: dict[TopicPartition, tuple[TopicId, MemoryLog]] = {}
        self._checkpoints: dict[str, dict[TopicPartition, int]] = {}

    def existing(self) -> Sequence[tuple[TopicPartition, TopicId]]:
        return [(partition, topic_id) for partition, (topic_id, _) in self._logs.items()]

    def open_log(
        self, partition: TopicPartition, topic_id: TopicId, *, index_interval_bytes: int = 4096
    ) -> PartitionLog:
        if partition not in self._logs:
            self._logs[partition] = (topic_id, MemoryLog())
        return self._logs[partition][1]

    def delete_log(self, partition: TopicPartition) -> None:
        self._logs.pop(partition, None)

    def read_checkpoint(self, name: str) -> Mapping[TopicPartition, int]:
        return self._checkpoints.get(name, {})

    def write_checkpoint(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._checkpoints[name] = dict(offsets)

    def close(self, *, clean: bool) -> None:
        """Nothing is kept."""
