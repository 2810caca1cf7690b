"""One segment: a `.log` file of batches and its lookup tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mainstem.api.files import WouldBlock
from mainstem.api.storage import SegmentInfo
from mainstem.model.batch import HEADER_BYTES, BatchHeader, read_header
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_segments import names
from mainstem_plugins.storage_segments.handles import Handle, Handles
from mainstem_plugins.storage_segments.index import TIME_ENTRY, SegmentIndex

WALK_CHUNK_BYTES = 1 << 20
LOCATE_CHUNK_BYTES = 16 * 1024


class Segment:
    """Owned by its log. `size` is the number of good bytes; whatever a crash left behind it is cut before use.

    `is_new`: its file does not exist before the first append. `is_sealed`: closed for writing, its tables are on the disk.
    """

    __slots__ = (
        "base_offset",
        "first_timestamp",
        "folder",
        "handles",
        "index",
        "index_interval_bytes",
        "is_gone",
        "is_new",
        "is_sealed",
        "log_path",
        "max_timestamp",
        "opened",
        "size",
    )

    def __init__(
        self, folder: Path, base_offset: int, size: int, handles: Handles, index_interval_bytes: int, *, is_new: bool
    ) -> None:
        self.base_offset = base_offset
        self.folder = folder
        self.log_path = names.path_of(folder, base_offset, names.LOG)
        self.size = size
        self.handles = handles
        self.index_interval_bytes = index_interval_bytes
        self.index: SegmentIndex | None = SegmentIndex(index_interval_bytes, base_offset) if size == 0 else None
        self.first_timestamp: int | None = -1 if size == 0 else None
        self.max_timestamp: int | None = None
        self.opened: Handle | None = None
        self.is_new = is_new
        self.is_sealed = False
        self.is_gone = False

    def begin(self) -> Handle:
        """The open file, on the loop, which sets `in_use` to false when it is done. Raises: OSError."""
        handle = self.opened
        if handle is not None:
            handle.in_use = True
            if not handle.is_closed:
                handle.was_used = True
                return handle
            handle.in_use = False
        return self.handles.begin(self)

    def lookup(self) -> SegmentIndex:
        """The lookup tables: in memory, from their files, or by walking the segment."""
        index = self.index
        if index is None:
            index = self.index = self._read_index()
            if index is None:
                self.walk_through()
                index = self.index
                assert index is not None, "a walk leaves an index"
        if self.is_sealed and not self.is_gone:
            self.handles.note_index(self, len(index.offsets))
        return index

    def forget_index(self) -> None:
        if self.is_sealed and self.index is not None:
            self.max_timestamp = self.index.max_timestamp
            self.index = None

    def _lookup_path(self, kind: str) -> Path:
        """Of a segment that was put aside or waits to be swapped in, too."""
        suffix = self.log_path.name.partition("." + names.LOG)[2]
        return names.path_of(self.folder, self.base_offset, kind, suffix)

    def _read_index(self) -> SegmentIndex | None:
        files = self.handles.files
        try:
            offsets, times = (files.read_file(self._lookup_path(kind)) for kind in names.LOOKUPS)
        except FileNotFoundError:
            return None
        index = SegmentIndex.decode(self.index_interval_bytes, self.base_offset, self.size, offsets, times)
        if index is not None and index.offsets:
            # Nothing in the file says whose it is; its last entry must point at a batch of this segment.
            header = self._header_at(index.positions[-1])
            if header is None or header.last_offset != self.base_offset + index.offsets[-1]:
                return None
        return index

    def walk_through(self) -> int:
        """The tables from the batches, and the offset after the last one."""
        index, end = SegmentIndex(self.index_interval_bytes, self.base_offset), self.base_offset
        for position, header, _ in self.walk(0):
            if position == 0:
                self.first_timestamp = header.max_timestamp
            index.add(header.size, header.last_offset, position, header.max_timestamp)
            end = header.next_offset
        self.index = index
        return end

    def write_index(self, suffix: str = "", *, sync: bool = True) -> None:
        """Leave the tables beside the log; their names are the caller's to make durable. Raises: OSError."""
        for kind, content in zip(names.LOOKUPS, self.lookup().encode(), strict=True):
            path = names.path_of(self.folder, self.base_offset, kind, suffix)
            self.handles.files.write_file(path, content, sync=sync, sync_name=False)

    def _header_at(self, position: int) -> BatchHeader | None:
        handle = self.handles.take(self)
        try:
            data = handle.file.read(position, HEADER_BYTES)
        finally:
            self.handles.release(handle)
        return read_header(data) if len(data) == HEADER_BYTES else None

    def walk(self, position: int) -> Iterator[tuple[int, BatchHeader, memoryview]]:
        """Every whole batch from `position` (a batch border): (position, header, bytes). Ends before a torn one."""
        handle = self.handles.take(self)
        try:
            chunk, chunk_at = memoryview(b""), position
            while self.size - position >= HEADER_BYTES:
                at = position - chunk_at
                left = len(chunk) - at
                size = read_header(chunk, at).size if left >= HEADER_BYTES else HEADER_BYTES
                if size < HEADER_BYTES or position + size > self.size:
                    return
                if left < HEADER_BYTES or left < size:
                    wanted = min(max(WALK_CHUNK_BYTES, size), self.size - position)
                    chunk, chunk_at = memoryview(handle.file.read(position, wanted)), position
                    if len(chunk) < size:
                        return
                    continue
                yield position, read_header(chunk, at), chunk[at : at + size]
                position += size
        finally:
            self.handles.release(handle)

    def locate(self, offset: int, *, may_block: bool) -> tuple[int, BatchHeader] | None:
        """Position and header of the batch that contains `offset` or, if it is in a gap, of the next one. None: past the end.

        Raises: WouldBlock; StorageError where the bytes are no batches.
        """
        if self.index is None and not may_block:
            raise WouldBlock  # its tables have to be read first
        position = self.lookup().position_before(offset)
        handle = self.handles.take(self)
        try:
            while self.size - position >= HEADER_BYTES:
                wanted = min(LOCATE_CHUNK_BYTES, self.size - position)
                chunk = handle.file.read(position, wanted, may_block=may_block)
                at = 0
                while len(chunk) - at >= HEADER_BYTES:
                    header = read_header(chunk, at)
                    if header.size < HEADER_BYTES:
                        raise StorageError(str(self.log_path), f"there is no record batch at byte {position}")
                    if header.last_offset >= offset:
                        return position, header
                    at += header.size
                    position += header.size
                if at == 0:
                    return None
        finally:
            self.handles.release(handle)
        return None

    def info(self) -> SegmentInfo:
        if self.first_timestamp is None:
            header = self._header_at(0)
            self.first_timestamp = header.max_timestamp if header is not None else -1
        index = self.index
        if index is None and self.max_timestamp is None:
            self.max_timestamp = self._last_indexed_time()
        newest = index.max_timestamp if index is not None else self.max_timestamp
        if newest is None:
            newest = self.lookup().max_timestamp
        return SegmentInfo(self.base_offset, self.size, newest, self.first_timestamp)

    def _last_indexed_time(self) -> int | None:
        """Largest timestamp of a closed segment, without its whole index; None where that takes a closer look."""
        files = self.handles.files
        if not self.is_sealed:
            return None
        try:
            file = files.open(self._lookup_path(names.TIME_INDEX), create=False)
        except FileNotFoundError:
            return None
        try:
            entry = file.read(max(0, file.size() - TIME_ENTRY.size), TIME_ENTRY.size)
        finally:
            file.close()
        time, _ = TIME_ENTRY.unpack(entry) if len(entry) == TIME_ENTRY.size else (0, 0)
        return time if time > 0 else None

    # --------------------------------------------------------------------------------------------------- coming and going

    def put_aside(self) -> list[Path]:
        """Rename its files so that no start takes them for a segment; a reader in the middle goes on. Raises: OSError."""
        self.is_gone = True
        if self.is_new:
            return []
        suffix = self.log_path.name.partition("." + names.LOG)[2]
        target = names.path_of(self.folder, self.base_offset, names.LOG, names.DELETED)
        self.handles.move(self, target)
        # An open file would keep its room on the disk. Whoever reads it at this moment closes it.
        self.handles.forget(self)
        aside = [target]
        for kind in names.LOOKUPS:
            renamed = names.path_of(self.folder, self.base_offset, kind, names.DELETED)
            try:
                self.handles.files.rename(names.path_of(self.folder, self.base_offset, kind, suffix), renamed)
            except FileNotFoundError:
                continue
            aside.append(renamed)
        return aside

    def swap_in(self) -> None:
        """A finished rewrite takes its final name; the segments that it replaces are gone durably. Raises: OSError."""
        files = self.handles.files
        for kind in names.LOOKUPS:
            files.rename(
                names.path_of(self.folder, self.base_offset, kind, names.SWAP),
                names.path_of(self.folder, self.base_offset, kind),
            )
        self.handles.move(self, names.path_of(self.folder, self.base_offset, names.LOG))
        files.remove(names.path_of(self.folder, self.base_offset, names.RANGE, names.SWAP))
