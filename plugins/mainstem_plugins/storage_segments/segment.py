"""One segment: a `.log` file of batches and its lookup tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mainstem.api.files import FileSystem
from mainstem.api.storage import SegmentInfo
from mainstem.model.batch import HEADER_BYTES, BatchHeader, read_header
from mainstem_plugins.storage_segments.handles import Handle, Handles
from mainstem_plugins.storage_segments.index import SegmentIndex

WALK_CHUNK_BYTES = 1 << 20
LOCATE_CHUNK_BYTES = 16 * 1024


class Segment:
    """Owned by its log. `size` is the number of good bytes; whatever a crash left behind it is cut before use."""

    __slots__ = (
        "_handle",
        "base_offset",
        "first_timestamp",
        "handles",
        "index",
        "index_interval_bytes",
        "log_path",
        "size",
    )

    def __init__(
        self, directory: Path, base_offset: int, size: int, handles: Handles, index_interval_bytes: int
    ) -> None:
        self.base_offset = base_offset
        self.log_path = directory / f"{base_offset:020d}.log"
        self.size = size
        self.handles = handles
        self.index_interval_bytes = index_interval_bytes
        self.index: SegmentIndex | None = SegmentIndex(index_interval_bytes) if size == 0 else None
        self.first_timestamp: int | None = -1 if size == 0 else None
        self._handle: Handle | None = None

    @property
    def index_path(self) -> Path:
        return self.log_path.with_suffix(".index")

    @property
    def time_index_path(self) -> Path:
        return self.log_path.with_suffix(".timeindex")

    def handle(self) -> Handle:
        handle = self._handle
        if handle is None or handle.is_closed:
            handle = self._handle = self.handles.get(self.log_path)
        handle.was_used = True
        return handle

    def lookup(self) -> SegmentIndex:
        """The lookup tables: in memory, from their files, or by walking the segment."""
        if self.index is None:
            self.index = self._read_index(self.handles.files) or self._build_index()
        return self.index

    def _read_index(self, files: FileSystem) -> SegmentIndex | None:
        try:
            offsets, times = files.read_file(self.index_path), files.read_file(self.time_index_path)
        except FileNotFoundError:
            return None
        return SegmentIndex.decode(self.index_interval_bytes, self.base_offset, self.size, offsets, times)

    def _build_index(self) -> SegmentIndex:
        index = SegmentIndex(self.index_interval_bytes)
        for position, header, _ in self.walk(0):
            index.add(header.size, header.last_offset, position, header.max_timestamp)
        return index

    def write_index(self) -> None:
        """Leave the tables beside the log, for the next start and for Kafka's tools. Not synced: they can be rebuilt."""
        offsets, times = self.lookup().encode(self.base_offset)
        self.handles.files.write_file(self.index_path, offsets, durable=False)
        self.handles.files.write_file(self.time_index_path, times, durable=False)

    def walk(self, position: int) -> Iterator[tuple[int, BatchHeader, memoryview]]:
        """Every whole batch from `position` (a batch border): (position, header, bytes). Ends before a torn one."""
        handle = self.handle()
        with self.handles.pinned(handle):
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

    def locate(self, offset: int, *, may_block: bool) -> tuple[int, BatchHeader] | None:
        """Position and header of the batch that contains `offset` or, if it is in a gap, of the next one. None: past the end.

        Raises: WouldBlock.
        """
        position = self.lookup().position_before(offset)
        handle = self.handle()
        with self.handles.pinned(handle):
            while self.size - position >= HEADER_BYTES:
                wanted = min(LOCATE_CHUNK_BYTES, self.size - position)
                chunk = handle.file.read(position, wanted, may_block=may_block)
                at = 0
                while len(chunk) - at >= HEADER_BYTES:
                    header = read_header(chunk, at)
                    if header.last_offset >= offset:
                        return position, header
                    at += header.size
                    position += header.size
        return None

    def info(self) -> SegmentInfo:
        if self.first_timestamp is None:
            first = next(self.walk(0), None)
            self.first_timestamp = first[1].max_timestamp if first else -1
        return SegmentInfo(self.base_offset, self.size, self.lookup().max_timestamp, self.first_timestamp)
