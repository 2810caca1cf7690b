"""One partition's folder: a row of segments, the last one active."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from mainstem.api.files import Buffer
from mainstem.api.storage import BatchSpan, SegmentInfo, SidecarKind
from mainstem.model.batch import HEADER_BYTES, BatchHeader, batch_size
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_segments.handles import Handle, Handles
from mainstem_plugins.storage_segments.segment import Segment

BORDERS_MAX = 16384
HINTS_MAX = 64


class SegmentLog:
    """See `api.storage.PartitionLog`. Everything on the loop, except `flush` and blocking reads.

    `_border_offsets` and `_border_positions` remember where recent batches of the active segment end, so that a read up to the high
    watermark needs no walk; `_hints` remember where a sequential reader goes on.
    """

    def __init__(self, directory: Path, handles: Handles, index_interval_bytes: int) -> None:
        self.directory = directory
        self._handles = handles
        self._files = handles.files
        self._interval = index_interval_bytes
        self._border_offsets = array("q")
        self._border_positions = array("q")
        self._hints: dict[int, tuple[Segment, int]] = {}
        self._unsynced: list[Handle] = []
        self._has_new_names = False
        self._segments = self._load_segments()
        self._end_offset = self._find_end()

    def _load_segments(self) -> list[Segment]:
        segments = []
        for name in self._files.list_directory(self.directory):
            if name.endswith((".deleted", ".cleaned", ".tmp")):
                self._files.remove(self.directory / name)
            elif name.endswith(".log"):
                size = self._files.file_size(self.directory / name)
                segments.append(Segment(self.directory, int(name[:-4]), size, self._handles, self._interval))
        segments.sort(key=lambda s: s.base_offset)
        return segments or [self._new_segment(0)]

    def _new_segment(self, base_offset: int) -> Segment:
        self._has_new_names = True
        return Segment(self.directory, base_offset, 0, self._handles, self._interval)

    def _find_end(self) -> int:
        active = self._segments[-1]
        end = active.base_offset
        for _, header, _ in active.walk(active.lookup().position_before(1 << 62) if active.size else 0):
            end = header.next_offset
        return end

    @property
    def end_offset(self) -> int:
        return self._end_offset

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self._segments)

    def segments(self) -> Sequence[SegmentInfo]:
        return [segment.info() for segment in self._segments]

    def active_size(self) -> int:
        return self._segments[-1].size

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        active = self._segments[-1]
        handle = active.handle()
        size = 0
        for span in spans:
            size += span.size
        try:
            handle.file.append(data, size)
        except OSError as error:
            raise StorageError(str(self.directory), error.strerror or str(error)) from error
        if handle not in self._unsynced:
            self._handles.pin(handle)
            self._unsynced.append(handle)
        index = active.lookup()
        position = active.size
        if active.first_timestamp == -1:
            active.first_timestamp = spans[0].max_timestamp
        for span in spans:
            index.add(span.size, span.last_offset, position, span.max_timestamp)
            position += span.size
        active.size = position
        self._end_offset = end = spans[-1].last_offset + 1
        self._border_offsets.append(end)
        self._border_positions.append(position)
        if len(self._border_offsets) > BORDERS_MAX:
            del self._border_offsets[: BORDERS_MAX // 2]
            del self._border_positions[: BORDERS_MAX // 2]

    def _segment_slot(self, offset: int) -> int:
        return max(0, bisect_right(self._segments, offset, key=lambda s: s.base_offset) - 1)

    def read(self, offset: int, end_offset: int, max_bytes: int, *, may_block: bool = True) -> Buffer:
        if offset >= end_offset:
            return b""
        hint = self._hints.get(offset)
        if hint is not None and hint[1] < hint[0].size:
            segment, position = hint
        else:
            found = self._find(offset, may_block=may_block)
            if found is None:
                return b""
            segment, position = found
        stop = self._stop_position(segment, end_offset, may_block=may_block)
        wanted = min(max(max_bytes, HEADER_BYTES), stop - position)
        if wanted < HEADER_BYTES:
            return b""
        handle = segment.handle()
        self._handles.pin(handle)
        try:
            data = handle.file.read(position, wanted, may_block=may_block)
            first = batch_size(data)
            if first > len(data):
                data = handle.file.read(position, min(first, stop - position), may_block=may_block)
        except OSError as error:
            raise StorageError(str(self.directory), error.strerror or str(error)) from error
        finally:
            self._handles.unpin(handle)
        if position + len(data) == stop:
            self._remember(min(end_offset, self._next_base(segment)), segment, stop)
        return data

    def _find(self, offset: int, *, may_block: bool) -> tuple[Segment, int] | None:
        for segment in self._segments[self._segment_slot(offset) :]:
            if segment.size == 0:
                continue
            found = segment.locate(offset, may_block=may_block)
            if found is not None:
                return segment, found[0]
        return None

    def _next_base(self, segment: Segment) -> int:
        """The offset at which a segment ends."""
        if segment is self._segments[-1]:
            return self._end_offset
        return self._segments[self._segment_slot(segment.base_offset) + 1].base_offset

    def _stop_position(self, segment: Segment, end_offset: int, *, may_block: bool) -> int:
        if end_offset >= self._next_base(segment):
            return segment.size
        if segment is self._segments[-1]:
            slot = bisect_left(self._border_offsets, end_offset)
            if slot < len(self._border_offsets) and self._border_offsets[slot] == end_offset:
                return self._border_positions[slot]
        found = segment.locate(end_offset, may_block=may_block)
        return found[0] if found is not None else segment.size

    def _remember(self, offset: int, segment: Segment, position: int) -> None:
        if len(self._hints) >= HINTS_MAX:
            self._hints.pop(next(iter(self._hints)))
        self._hints[offset] = (segment, position)

    def offset_for_time(self, timestamp: int, end_offset: int) -> int | None:
        for segment in self._segments:
            if segment.size == 0 or segment.lookup().max_timestamp < timestamp:
                continue
            before = segment.lookup().offset_before_time(timestamp)
            found = segment.locate(before, may_block=True) if before is not None else (0, None)
            for _, header, _ in segment.walk(found[0] if found else 0):
                if header.base_offset >= end_offset:
                    return None
                if header.max_timestamp >= timestamp:
                    return header.base_offset
        return None

    def recover(self, from_offset: int, accept: Callable[[BatchHeader, memoryview], bool]) -> None:
        slot = self._segment_slot(from_offset)
        end = self._segments[slot].base_offset
        while slot < len(self._segments):
            segment = self._segments[slot]
            segment.index = None
            good = 0
            if segment.base_offset >= end:
                for position, header, data in segment.walk(0):
                    if header.base_offset < end or not accept(header, data):
                        break
                    good, end = position + header.size, header.next_offset
            if good < segment.size:
                self._cut(slot, good, end)
                break
            segment.lookup()
            slot += 1
        self._end_offset = end
        self._forget_positions()

    def _cut(self, slot: int, position: int, end: int) -> None:
        """Keep `position` bytes of the segment at `slot` and nothing after it."""
        for segment in self._segments[slot + 1 :]:
            self._remove(segment)
        del self._segments[slot + 1 :]
        segment = self._segments[slot]
        handle = segment.handle()
        handle.file.truncate(position)
        handle.file.sync()
        segment.size = position
        segment.index = None
        if position == 0:
            segment.first_timestamp = -1
        self._files.remove(segment.index_path)
        self._files.remove(segment.time_index_path)
        self._end_offset = end
        self._forget_positions()

    def _remove(self, segment: Segment) -> None:
        self._handles.forget(segment.log_path)
        for path in (segment.log_path, segment.index_path, segment.time_index_path):
            self._files.remove(path)

    def _forget_positions(self) -> None:
        del self._border_offsets[:]
        del self._border_positions[:]
        self._hints.clear()

    def roll(self, base_offset: int) -> None:
        active = self._segments[-1]
        if active.size == 0 and active.base_offset == base_offset:
            return
        active.write_index()
        if self._has_new_names:
            # A newer segment must not survive a crash that an older one's name does not.
            self._files.sync_directory(self.directory)
        segment = self._new_segment(base_offset)
        segment.handle()
        self._segments.append(segment)
        del self._border_offsets[:]
        del self._border_positions[:]

    def truncate(self, offset: int) -> None:
        if offset >= self._end_offset:
            return
        slot = self._segment_slot(offset)
        found = self._segments[slot].locate(offset, may_block=True)
        position, end = (found[0], found[1].base_offset) if found else (self._segments[slot].size, offset)
        self._cut(slot, position, end)

    def delete_before(self, offset: int) -> Sequence[int]:
        gone = []
        while len(self._segments) > 1 and self._segments[1].base_offset <= offset:
            segment = self._segments.pop(0)
            self._remove(segment)
            gone.append(segment.base_offset)
        return gone

    def reset(self, offset: int) -> None:
        for segment in self._segments:
            self._remove(segment)
        self._segments = [self._new_segment(offset)]
        self._end_offset = offset
        self._forget_positions()

    def flush(self) -> None:
        """Appends go on meanwhile on the loop: what they write after the swap is in the next list."""
        handles, self._unsynced = self._unsynced, []
        has_new_names, self._has_new_names = self._has_new_names, False
        try:
            for handle in handles:
                handle.file.sync()
            if has_new_names:
                self._files.sync_directory(self.directory)
        except OSError as error:
            raise StorageError(str(self.directory), error.strerror or str(error)) from error
        finally:
            for handle in handles:
                self._handles.unpin(handle)

    def _sidecar_path(self, kind: str, offset: int) -> Path:
        if kind == SidecarKind.LEADER_EPOCHS:
            return self.directory / kind
        return self.directory / f"{offset:020d}.{kind}"

    def put_sidecar(self, kind: str, offset: int, content: bytes) -> None:
        self._files.write_file(self._sidecar_path(kind, offset), content)

    def get_sidecar(self, kind: str, offset: int) -> bytes:
        return self._files.read_file(self._sidecar_path(kind, offset))

    def sidecars(self, kind: str) -> Sequence[int]:
        names = self._files.list_directory(self.directory)
        if kind == SidecarKind.LEADER_EPOCHS:
            return [0] if kind in names else []
        return sorted(int(name.partition(".")[0]) for name in names if name.endswith("." + kind))

    def delete_sidecar(self, kind: str, offset: int) -> None:
        self._files.remove(self._sidecar_path(kind, offset))

    def close(self) -> None:
        for handle in self._unsynced:
            self._handles.unpin(handle)
        self._unsynced = []
        self._segments[-1].write_index()
        for segment in self._segments:
            self._handles.forget(segment.log_path)
