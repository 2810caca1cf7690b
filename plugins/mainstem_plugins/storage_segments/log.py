"""One partition's log: a row of segments, the last one active."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from mainstem.api.files import Buffer
from mainstem.api.storage import BatchSpan, SegmentInfo
from mainstem.model.batch import HEADER_BYTES, LENGTH_PREFIX_BYTES, BatchHeader, base_offset, batch_size
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_segments import names
from mainstem_plugins.storage_segments.aside import Aside
from mainstem_plugins.storage_segments.folder import SegmentFolder
from mainstem_plugins.storage_segments.handles import Handles
from mainstem_plugins.storage_segments.index import SegmentIndex
from mainstem_plugins.storage_segments.segment import Segment

BORDERS_MAX = 16384
HINTS_MAX = 64
WALKED_BYTES_MAX = 64 * 1024
"""To walk an active segment of this size is cheaper than to read its lookup files."""


class SegmentLog(SegmentFolder):
    """See `api.storage.PartitionLog`. Everything on the loop, except `flush`, `settle`, rewrites and blocking reads.

    `_border_offsets` and `_border_positions` remember where recent batches of the active segment end, so that a read up to the high
    watermark needs no walk; `_hints` remember where a sequential reader goes on.
    """

    def __init__(
        self,
        directory: Path,
        handles: Handles,
        aside: Aside,
        index_interval_bytes: int,
        metadata: bytes,
        *,
        is_synced: bool,
    ) -> None:
        super().__init__(directory, handles, aside, index_interval_bytes, metadata, is_synced=is_synced)
        self._border_offsets = array("q")
        self._border_positions = array("q")
        self._hints: dict[int, tuple[Segment, int]] = {}
        self._end_offset = self._find_end()

    def _find_end(self) -> int:
        active = self._segments[-1]
        if active.size == 0:
            return active.base_offset
        if active.size <= WALKED_BYTES_MAX:
            return active.walk_through()
        end = active.base_offset
        for _, header, _ in active.walk(active.lookup().position_before(1 << 62)):
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

    def active_index_bytes(self) -> int:
        index = self._segments[-1].index
        return index.file_bytes if index is not None else 0

    # -------------------------------------------------------------------------------------------------- append and read

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        active = self._segments[-1]
        size = 0
        for span in spans:
            size += span.size
        try:
            handle = active.begin() if not active.is_new else self._create(active)
            handle.file.append(data, size)
        except OSError as error:
            raise self._failed_append(active, error) from error
        if handle not in self._unsynced:
            self._handles.hold(handle)
            self._unsynced.append(handle)
        handle.in_use = False
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

    def _failed_append(self, active: Segment, error: OSError) -> StorageError:
        """A full disk is no lasting failure if nothing of the batch is left in the file: the next one goes where it belongs."""
        if active.opened is not None:
            active.opened.in_use = False
        try:
            is_whole = active.is_new or self._files.file_size(active.log_path) == active.size
        except OSError:
            is_whole = False
        return self._failed(error, is_lasting=None if is_whole else True)

    def _segment_slot(self, segments: Sequence[Segment], offset: int) -> int:
        return max(0, bisect_right(segments, offset, key=lambda s: s.base_offset) - 1)

    def read(self, offset: int, end_offset: int, max_bytes: int, *, may_block: bool = True) -> Buffer:
        if offset >= end_offset:
            return b""
        hint = self._hints.get(offset)
        if hint is not None and hint[1] < hint[0].size and not hint[0].is_gone:
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
        try:
            handle = self._handles.take(segment)
            try:
                data = handle.file.read(position, wanted, may_block=may_block)
                first = batch_size(data)
                if first > len(data):
                    data = handle.file.read(position, min(first, stop - position), may_block=may_block)
            finally:
                self._handles.release(handle)
        except OSError as error:
            raise self._failed(error) from error
        if position + len(data) == stop:
            self._remember(min(end_offset, self._next_base(segment)), segment, stop)
        else:
            self._remember_after(data, segment, position)
        return data

    def _remember_after(self, data: Buffer, segment: Segment, position: int) -> None:
        """A reader comes back for what follows the last whole batch; from the index it is a few steps to there."""
        if segment.index is None:
            return  # it has just left memory; the next read finds its way by itself
        end, size = position + len(data), 0
        at = max(segment.lookup().start_before(end - 1), position) - position
        while len(data) - at >= HEADER_BYTES:
            size = batch_size(data, at)
            if size < HEADER_BYTES or at + size > len(data):
                break
            at += size
        if size >= HEADER_BYTES and len(data) - at >= LENGTH_PREFIX_BYTES:
            self._remember(base_offset(data, at), segment, position + at)

    def _find(self, offset: int, *, may_block: bool) -> tuple[Segment, int] | None:
        segments = self._segments
        for segment in segments[self._segment_slot(segments, offset) :]:
            if segment.size == 0:
                continue
            found = segment.locate(offset, may_block=may_block)
            if found is not None:
                return segment, found[0]
        return None

    def _next_base(self, segment: Segment) -> int:
        """The offset at which a segment ends."""
        segments = self._segments
        if segment is segments[-1]:
            return self._end_offset
        slot = self._segment_slot(segments, segment.base_offset) + 1
        return segments[slot].base_offset if slot < len(segments) else self._end_offset

    def _stop_position(self, segment: Segment, end_offset: int, *, may_block: bool) -> int:
        if end_offset >= self._next_base(segment):
            return segment.size
        if not may_block and segment is self._segments[-1]:
            # Only on the loop: it is the one that adds and removes borders.
            slot = bisect_left(self._border_offsets, end_offset)
            if slot < len(self._border_offsets) and self._border_offsets[slot] == end_offset:
                return self._border_positions[slot]
        found = segment.locate(end_offset, may_block=may_block)
        return found[0] if found is not None else segment.size

    def _remember(self, offset: int, segment: Segment, position: int) -> None:
        if len(self._hints) >= HINTS_MAX:
            try:
                self._hints.pop(next(iter(self._hints)), None)
            except RuntimeError:
                return  # another thread remembers something at the same time; a hint less is no harm
        self._hints[offset] = (segment, position)

    def offset_for_time(self, timestamp: int, end_offset: int) -> int | None:
        for segment in self._segments:
            if segment.size == 0 or segment.info().max_timestamp < timestamp:
                continue
            before = segment.lookup().offset_before_time(timestamp)
            found = segment.locate(before, may_block=True) if before is not None else (0, None)
            for _, header, _ in segment.walk(found[0] if found else 0):
                if header.base_offset >= end_offset:
                    return None
                if header.max_timestamp >= timestamp:
                    return header.base_offset
        return None

    # ----------------------------------------------------------------------------------------------- roll, cut and remove

    def recover(self, from_offset: int, accept: Callable[[BatchHeader, memoryview], bool]) -> None:
        self.settle()
        segments = self._segments
        slot = self._segment_slot(segments, from_offset)
        end = segments[slot].base_offset
        try:
            for segment in segments[slot:]:
                # An empty segment, and what compaction left of one, end where the next one begins.
                end = max(end, segment.base_offset)
                segment.first_timestamp = -1
                index, good = SegmentIndex(self._interval, segment.base_offset), 0
                for position, header, data in segment.walk(0):
                    if header.base_offset < end or not accept(header, data):
                        break
                    if position == 0:
                        segment.first_timestamp = header.max_timestamp
                    index.add(header.size, header.last_offset, position, header.max_timestamp)
                    good, end = position + header.size, header.next_offset
                if not self._is_synced:
                    self._unchecked.append(segment)
                if good < segment.size:
                    self._cut(segments.index(segment), good, end)
                    segment.index = index
                    break
                segment.index = index
                if segment is not segments[-1]:
                    self._sealed.append(segment)
                self._handles.forget(segment)
        except OSError as error:
            raise self._failed(error, is_lasting=True) from error
        if not self._is_synced:
            # A process that was killed may have left names that no sync ever covered.
            self._names_made += 1
            self._aside.note_new_folder()
        self._end_offset = end
        self._forget_positions()

    def _cut(self, slot: int, position: int, end: int) -> None:
        """Keep `position` bytes of the segment at `slot` and nothing after it. Raises: OSError.

        Every step is durable before the next: appends go on right afterwards, and if a removed segment or a cut-off tail came
        back in a crash after that, it would stand behind batches that it never followed.
        """
        self._abandon_rewrites()
        segment = self._segments[slot]
        removed = self._segments[slot + 1 :]
        self._segments = self._segments[: slot + 1]
        self._put_aside_durably(removed)
        with self._names_lock:
            # From here on no flush leaves lookup files for it.
            segment.is_sealed = False
        segment.index = segment.max_timestamp = None
        if position == 0:
            segment.first_timestamp = -1
        if not segment.is_new:
            handle = self._handles.take(segment)
            try:
                handle.file.truncate(position)
                handle.file.sync()
            finally:
                self._handles.release(handle)
            for kind in names.LOOKUPS:
                self._files.remove(names.path_of(self.directory, segment.base_offset, kind))
            self._files.sync_directory(self.directory)
        segment.size = position
        self._end_offset = end
        self._forget_positions()

    def _forget_positions(self) -> None:
        del self._border_offsets[:]
        del self._border_positions[:]
        self._hints.clear()

    def roll(self, base_offset: int) -> None:
        active = self._segments[-1]
        if active.size == 0 and active.base_offset == base_offset:
            return
        try:
            if self._names_made != self._names_synced:
                # A newer segment must not survive a crash that an older one's name does not.
                self._sync_names(self._names_made)
            segment = self._new_segment(base_offset)
            self._create(segment).in_use = False
        except OSError as error:
            raise self._failed(error) from error
        self._segments = [*self._segments, segment]
        active.is_sealed = True
        self._sealed.append(active)
        del self._border_offsets[:]
        del self._border_positions[:]

    def truncate(self, offset: int) -> None:
        if offset >= self._end_offset:
            return
        self.settle()
        slot = self._segment_slot(self._segments, offset)
        try:
            found = self._segments[slot].locate(offset, may_block=True)
            position = found[0] if found else self._segments[slot].size
            end = min(offset, found[1].base_offset) if found else offset
            self._cut(slot, position, end)
        except OSError as error:
            raise self._failed(error, is_lasting=True) from error

    def delete_before(self, offset: int) -> Sequence[int]:
        keep = self._segment_slot(self._segments, offset)
        gone, self._segments = self._segments[:keep], self._segments[keep:]
        try:
            for segment in gone:
                if self._pending:
                    # Its older self still has its name; the thread that settles takes both.
                    segment.is_gone = True
                    self._pending.append(segment)
                else:
                    self._put_aside(segment)
        except OSError as error:
            raise self._failed(error) from error
        return [segment.base_offset for segment in gone]

    def reset(self, offset: int) -> None:
        self.settle()
        try:
            self._abandon_rewrites()
            self._put_aside_durably(self._segments)
            segment = self._new_segment(offset)
            # The file says where the log begins, even if nothing is ever written to it.
            self._create(segment).in_use = False
            self._sync_names(self._names_made)
        except OSError as error:
            raise self._failed(error) from error
        self._segments = [segment]
        self._end_offset = offset
        self._forget_positions()
