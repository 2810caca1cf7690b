"""One partition: a row of segments, the last one active. Its changes wait in the store for the next commit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from mainstem.api.files import Buffer, WouldBlock
from mainstem.api.storage import BatchSpan, SegmentInfo, SegmentRewrite, SidecarKind
from mainstem.model.batch import HEADER_BYTES, BatchHeader, read_header
from mainstem_plugins.storage_sqlite import queries
from mainstem_plugins.storage_sqlite.rewrite import SqliteRewrite
from mainstem_plugins.storage_sqlite.schema import DELETED, LIVE
from mainstem_plugins.storage_sqlite.segment import Segment
from mainstem_plugins.storage_sqlite.staging import Staging


class SqliteLog:
    """See `api.storage.PartitionLog`. Owned by one loop; `flush` and blocking reads may run in threads beside it.

    Appends, rolls and deletions are visible here at once and wait in `Staging`; only `truncate` and `recover` wait for the disk.
    """

    def __init__(self, partition_id: int, segments: list[Segment], staging: Staging) -> None:
        self.partition_id = partition_id
        self._staging = staging
        self._database = staging.database
        # Replaced, never changed in place, except that a roll appends to it.
        self._segments = segments
        self._size = sum(segment.size for segment in segments)
        self._sidecars: dict[str, set[int]] = {}
        self._has_staged_sidecars = False

    def know_sidecar(self, kind: str, offset: int) -> None:
        """It is in the file."""
        self._sidecars.setdefault(kind, set()).add(offset)

    @property
    def end_offset(self) -> int:
        return self._segments[-1].end_offset

    @property
    def size(self) -> int:
        return self._size

    def active_size(self) -> int:
        return self._segments[-1].size

    def active_index_bytes(self) -> int:
        """The lookup tables are SQLite's and have no limit."""
        return 0

    def segments(self) -> Sequence[SegmentInfo]:
        return [segment.info() for segment in self._segments]

    # ------------------------------------------------------------------------------------------------ appending, reading

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        whole = bytes(data[0]) if len(data) == 1 else b"".join(data)
        self._staging.append(self._segments[-1], whole, spans)
        self._size += len(whole)

    def _slot(self, offset: int) -> int:
        """Index of the segment that contains `offset`; the first one for offsets below the log."""
        return max(0, bisect_right(self._segments, offset, key=lambda s: s.base_offset) - 1)

    def read(self, offset: int, end_offset: int, max_bytes: int, *, may_block: bool = True) -> Buffer:
        """The newest batches come from memory. Those in the file raise WouldBlock: whether SQLite has to wait for the disk
        cannot be known."""
        while offset < end_offset:
            for segment in self._segments[self._slot(offset) :]:
                if segment.base_offset >= end_offset:
                    return b""
                parts = self._read_segment(segment, offset, end_offset, max_bytes, may_block)
                if parts is None:
                    break
                if parts:
                    return parts[0] if len(parts) == 1 else b"".join(parts)
            else:
                return b""
        return b""

    def _read_segment(
        self, segment: Segment, offset: int, end_offset: int, max_bytes: int, may_block: bool
    ) -> list[bytes] | None:
        """None: batches were deleted, or left memory, while this thread looked for them in the file; look again."""
        with self._staging.lock:
            kept_from = segment.kept_from
            if offset >= kept_from:
                return segment.in_memory(offset, end_offset, max_bytes)
        if segment.batches == 0:
            return []
        if not may_block:
            raise WouldBlock
        until = min(end_offset, kept_from)
        run = queries.read_run(self._database, segment.segment_id, offset, until, max_bytes)
        with self._staging.lock:
            if segment.state != LIVE or segment.kept_from != kept_from:
                return None
            left = max_bytes - len(run.data)
            if not run.data:
                return segment.in_memory(kept_from, end_offset, max_bytes)
            if run.next_offset < kept_from or left <= 0:
                return [run.data]
            more = segment.in_memory(kept_from, end_offset, left)
            return [run.data, *more] if sum(map(len, more)) <= left else [run.data]

    def offset_for_time(self, timestamp: int, end_offset: int) -> int | None:
        while True:
            for segment in self._segments:
                if segment.max_timestamp < timestamp:
                    continue
                kept_from = segment.kept_from
                found = None
                if kept_from > segment.base_offset:
                    found = queries.first_at_time(
                        self._database, segment.segment_id, segment.base_offset, kept_from, timestamp
                    )
                with self._staging.lock:
                    if segment.state != LIVE or segment.kept_from != kept_from:
                        # As in `_read_segment`: look again.
                        break
                    if found is None:
                        found = segment.time_in_memory(timestamp)
                if found is not None:
                    return found if found < end_offset else None
            else:
                return None

    # ------------------------------------------------------------------------------------------------------------ segments

    def _new_segment(self, base_offset: int) -> Segment:
        segment = Segment(self._staging.next_segment_id(), self.partition_id, base_offset)
        self._staging.changed(segment)
        return segment

    def _discard(self, segments: Sequence[Segment], heir: int = -1) -> None:
        """The segment with base offset `heir` goes on under the same name, and keeps its transaction index."""
        for segment in segments:
            segment.state = DELETED
            self._staging.changed(segment)
            self._size -= segment.size
            if segment.base_offset != heir:
                self.delete_sidecar(SidecarKind.TRANSACTION_INDEX, segment.base_offset)

    def roll(self, base_offset: int) -> None:
        if self._segments[-1].base_offset != base_offset:
            self._segments.append(self._new_segment(base_offset))

    def truncate(self, offset: int) -> None:
        """Blocking: the file has to forget these batches before others take their offsets."""
        if offset >= self.end_offset:
            return
        slot = self._slot(offset)
        cut, gone = self._segments[slot], self._segments[slot + 1 :]
        self._staging.commit()
        # Another object, so that a rewrite or a reader that began with the longer one finds it gone.
        kept = queries.cut(self._database, cut, [segment.segment_id for segment in gone], offset)
        self._segments = [*self._segments[:slot], kept]
        self._size -= cut.size - kept.size
        cut.state = DELETED
        self._discard(gone)

    def delete_before(self, offset: int) -> Sequence[int]:
        keep = self._slot(offset)
        gone = self._segments[:keep]
        self._segments = self._segments[keep:]
        self._discard(gone)
        return [segment.base_offset for segment in gone]

    def reset(self, offset: int) -> None:
        gone, self._segments = self._segments, [self._new_segment(offset)]
        self._discard(gone)

    def recover(self, from_offset: int, accept: Callable[[BatchHeader, memoryview], bool]) -> None:
        """A commit is whole or absent, so a torn batch is none of a crash; what `accept` says counts all the same."""
        self._staging.commit()
        for segment in self._segments[self._slot(from_offset) :]:
            for span, data in queries.walk(self._database, segment.segment_id):
                if not _is_whole(span, data) or not accept(read_header(data), memoryview(data)):
                    self.truncate(span.base_offset)
                    return

    def rewrite(self, first_base: int, end_base: int) -> SegmentRewrite:
        replaced = [s for s in self._segments[:-1] if first_base <= s.base_offset < end_base]
        return SqliteRewrite(self._staging, self.partition_id, first_base, replaced)

    def replace(self, rewrite: SegmentRewrite) -> bool:
        assert isinstance(rewrite, SqliteRewrite), "made by this log"
        assert rewrite.is_finished, "a rewrite is finished before it replaces anything"
        segments, count = self._segments, len(rewrite.replaced)
        slot = self._slot(rewrite.segment.base_offset)
        # By identity: a segment that was cut short meanwhile is another one. The active one is never among them.
        if segments[slot : slot + count] != rewrite.replaced or slot + count == len(segments):
            rewrite.abandon()
            return False
        rewrite.segment.state = LIVE
        self._staging.changed(rewrite.segment)
        self._segments = [*segments[:slot], rewrite.segment, *segments[slot + count :]]
        self._size += rewrite.segment.size
        self._discard(rewrite.replaced, heir=rewrite.segment.base_offset)
        return True

    def flush(self) -> None:
        """Commits what all logs of the store have waiting, in one transaction; the others then find nothing to do."""
        self._staging.commit()

    # ------------------------------------------------------------------------------------------------------------ sidecars

    def put_sidecar(self, kind: str, offset: int, content: bytes) -> None:
        """In the same commit as the appends before it, so that neither survives a crash without the other."""
        self._staging.change(
            "INSERT OR REPLACE INTO sidecars (partition_id, kind, at_offset, content) VALUES (?, ?, ?, ?)",
            (self.partition_id, kind, offset, content),
        )
        self.know_sidecar(kind, offset)
        self._has_staged_sidecars = True

    def get_sidecar(self, kind: str, offset: int) -> bytes:
        if self._has_staged_sidecars:
            # Rare: they are read when a log is opened, and that is before any is put.
            self._staging.commit()
            self._has_staged_sidecars = False
        return queries.sidecar(self._database, self.partition_id, kind, offset)

    def sidecars(self, kind: str) -> Sequence[int]:
        return sorted(self._sidecars.get(kind, ()))

    def delete_sidecar(self, kind: str, offset: int) -> None:
        known = self._sidecars.get(kind, set())
        if offset in known:
            known.discard(offset)
            self._staging.change(
                "DELETE FROM sidecars WHERE partition_id = ? AND kind = ? AND at_offset = ?",
                (self.partition_id, kind, offset),
            )

    def drop(self) -> None:
        """The log was deleted; who still reads it finds nothing."""
        gone, self._segments = self._segments, [Segment(0, self.partition_id, self.end_offset)]
        self._discard(gone)

    def close(self) -> None:
        """Kept by its store for the next `open_log`."""


def _is_whole(span: BatchSpan, data: bytes) -> bool:
    if len(data) != span.size or span.size < HEADER_BYTES:
        return False
    header = read_header(data)
    return (header.size, header.base_offset, header.last_offset) == (span.size, span.base_offset, span.last_offset)
