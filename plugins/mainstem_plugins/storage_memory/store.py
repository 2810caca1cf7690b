"""The simplest store: the reference that the conformance suite compares others with."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence

from mainstem.api.files import Buffer
from mainstem.api.storage import BatchSpan, PartitionLog, SegmentInfo, SegmentRewrite, SidecarKind
from mainstem.model.batch import BatchHeader, read_header
from mainstem.model.errors import StorageError
from mainstem.model.ids import NO_TOPIC_ID, TopicId, TopicPartition
from mainstem_plugins.storage_memory.segment import MemorySegment


class MemoryRewrite:
    """See `api.storage.SegmentRewrite`."""

    def __init__(self, replaced: Sequence[MemorySegment]) -> None:
        self.replaced = replaced
        self.segment = MemorySegment(replaced[0].base_offset)
        self.is_finished = False

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        self.segment.append(data, spans)

    def finish(self) -> None:
        self.is_finished = True

    def abandon(self) -> None:
        self.segment = MemorySegment(self.segment.base_offset)
        self.is_finished = False


class MemoryLog:
    """See `api.storage.PartitionLog`.

    `_segments` is replaced, never changed in place, except that a roll appends to it: threads that read keep a whole list.
    """

    def __init__(self) -> None:
        self._segments = [MemorySegment(0)]
        self._end_offset = 0
        self._size = 0
        self._sidecars: dict[str, dict[int, bytes]] = {}

    @property
    def end_offset(self) -> int:
        return self._end_offset

    @property
    def size(self) -> int:
        return self._size

    def active_size(self) -> int:
        return self._segments[-1].size

    def active_index_bytes(self) -> int:
        """No lookup files, so nothing that Kafka would limit."""
        return 0

    def segments(self) -> Sequence[SegmentInfo]:
        return [segment.info() for segment in self._segments]

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        self._size += self._segments[-1].append(data, spans)
        self._end_offset = spans[-1].last_offset + 1

    def read(self, offset: int, end_offset: int, max_bytes: int, *, may_block: bool = True) -> Buffer:
        segments = self._segments
        parts: list[bytes] = []
        left = max_bytes
        for slot in range(_slot(segments, offset), len(segments)):
            if segments[slot].base_offset >= end_offset:
                break
            found = segments[slot].read(offset, end_offset, left)
            left -= sum(map(len, found))
            if parts and left < 0:
                break
            parts += found
            if left <= 0 or (found and found[-1] is not segments[slot].batches()[-1]):
                # Where a segment was not read to its end, a small batch of the next one would follow a hole.
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def offset_for_time(self, timestamp: int, end_offset: int) -> int | None:
        for segment in self._segments:
            found = segment.offset_for_time(timestamp)
            if found is not None:
                return found if found < end_offset else None
        return None

    def recover(self, from_offset: int, accept: Callable[[BatchHeader, memoryview], bool]) -> None:
        for segment in self._segments[_slot(self._segments, from_offset) :]:
            for batch in segment.batches():
                header = read_header(batch)
                if not accept(header, memoryview(batch)):
                    self.truncate(header.base_offset)
                    return

    def roll(self, base_offset: int) -> None:
        if self._segments[-1].base_offset != base_offset:
            self._segments.append(MemorySegment(base_offset))

    def truncate(self, offset: int) -> None:
        if offset >= self._end_offset:
            return
        # A batch that reaches over `offset` goes as a whole, so the log may end before it.
        slot = _slot(self._segments, offset)
        base = self._segments[slot].base_after(offset)
        end = offset if base is None else min(offset, base)
        kept = self._segments[slot].before(offset)
        kept.base_offset = min(kept.base_offset, end)
        self._size -= sum(segment.size for segment in self._segments[slot:]) - kept.size
        self._forget_transactions(self._segments[slot + 1 :])
        self._segments = [*self._segments[:slot], kept]
        self._end_offset = end

    def delete_before(self, offset: int) -> Sequence[int]:
        keep = bisect_right(self._segments, offset, key=lambda s: s.base_offset) - 1
        if keep <= 0:
            return []
        gone, self._segments = self._segments[:keep], self._segments[keep:]
        self._size -= sum(segment.size for segment in gone)
        self._forget_transactions(gone)
        return [segment.base_offset for segment in gone]

    def _forget_transactions(self, gone: Sequence[MemorySegment]) -> None:
        for segment in gone:
            self.delete_sidecar(SidecarKind.TRANSACTION_INDEX, segment.base_offset)

    def reset(self, offset: int) -> None:
        self._forget_transactions(self._segments)
        self._segments = [MemorySegment(offset)]
        self._end_offset = offset
        self._size = 0

    def rewrite(self, first_base: int, end_base: int) -> SegmentRewrite:
        replaced = [s for s in self._segments[:-1] if first_base <= s.base_offset < end_base]
        if not replaced or replaced[0].base_offset != first_base:
            raise StorageError("memory", f"no closed segment starts at offset {first_base}")
        return MemoryRewrite(replaced)

    def replace(self, rewrite: SegmentRewrite) -> bool:
        assert isinstance(rewrite, MemoryRewrite), "made by this log"
        assert rewrite.is_finished, "a rewrite is finished before it replaces anything"
        slot = bisect_left(self._segments, rewrite.segment.base_offset, key=lambda s: s.base_offset)
        end = slot + len(rewrite.replaced)
        # By identity: a segment that was cut short meanwhile is another one. The active one is never among them.
        if self._segments[slot:end] != rewrite.replaced or end == len(self._segments):
            rewrite.abandon()
            return False
        # The first one's goes on under the same name.
        self._forget_transactions(rewrite.replaced[1:])
        self._size += rewrite.segment.size - sum(segment.size for segment in rewrite.replaced)
        self._segments = [*self._segments[:slot], rewrite.segment, *self._segments[end:]]
        return True

    def flush(self) -> None:
        """Nothing to do: memory is lost with the process whatever one does."""

    def put_sidecar(self, kind: str, offset: int, content: bytes) -> None:
        self._sidecars.setdefault(kind, {})[offset] = content

    def get_sidecar(self, kind: str, offset: int) -> bytes:
        return self._sidecars[kind][offset]

    def sidecars(self, kind: str) -> Sequence[int]:
        return sorted(self._sidecars.get(kind, ()))

    def delete_sidecar(self, kind: str, offset: int) -> None:
        self._sidecars.get(kind, {}).pop(offset, None)

    def close(self) -> None:
        """Kept for the next `open_log` of the same store."""


def _slot(segments: Sequence[MemorySegment], offset: int) -> int:
    """Index of the segment that contains `offset`; the first one for offsets below the log."""
    return max(0, bisect_right(segments, offset, key=lambda s: s.base_offset) - 1)


class MemoryStore:
    """See `api.storage.LogStore`. What is deleted is given back to the process at once, so `purge` finds nothing."""

    place = "memory"
    was_clean = True

    def __init__(self) -> None:
        self._logs: dict[TopicPartition, tuple[TopicId, MemoryLog]] = {}
        self._checkpoints: dict[str, dict[TopicPartition, int]] = {}
        self._properties: dict[str, str] = {}

    def existing(self) -> Sequence[tuple[TopicPartition, TopicId]]:
        return [(partition, topic_id) for partition, (topic_id, _) in self._logs.items()]

    def open_log(
        self, partition: TopicPartition, topic_id: TopicId, *, index_interval_bytes: int = 4096
    ) -> PartitionLog:
        stored_id, _ = self._logs.get(partition, (topic_id, None))
        if partition not in self._logs or NO_TOPIC_ID != stored_id != topic_id != NO_TOPIC_ID:
            # A topic that is made again under its old name begins empty.
            self._logs[partition] = (topic_id, MemoryLog())
        return self._logs[partition][1]

    def delete_log(self, partition: TopicPartition) -> None:
        self._logs.pop(partition, None)

    def purge(self) -> None:
        pass

    def read_properties(self) -> Mapping[str, str]:
        return dict(self._properties)

    def write_properties(self, properties: Mapping[str, str]) -> None:
        self._properties = dict(properties)

    def read_checkpoint(self, name: str) -> Mapping[TopicPartition, int]:
        return self._checkpoints.get(name, {})

    def write_checkpoint(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._checkpoints[name] = dict(offsets)

    def close(self, *, clean: bool, broker_epoch: int = -1) -> None:
        """Nothing is kept."""
