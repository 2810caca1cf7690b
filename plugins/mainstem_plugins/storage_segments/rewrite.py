"""Compaction's output: one new segment beside the closed ones that it replaces.

…00.log.cleaned  being written  ->  …00.log.swap  finished, durable: from here on a start completes the replacement
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from mainstem.api.files import Buffer, FileSystem
from mainstem.api.storage import BatchSpan
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_segments import names
from mainstem_plugins.storage_segments.handles import Handle
from mainstem_plugins.storage_segments.segment import Segment


class Rewrite:
    """See `api.storage.SegmentRewrite`. `names_lock` is its log's: no two threads rename in one folder at a time."""

    def __init__(
        self,
        files: FileSystem,
        names_lock: threading.RLock,
        segment: Segment,
        replaced: Sequence[Segment],
        end_base: int,
    ) -> None:
        self.segment = segment
        self.replaced = replaced
        self.end_base = end_base
        self.is_finished = False
        self.is_abandoned = False
        self.is_replaced = False
        self._files = files
        self._names_lock = names_lock
        self._place = str(segment.folder)
        segment.log_path = names.path_of(segment.folder, segment.base_offset, names.LOG, names.CLEANED)
        try:
            files.remove(segment.log_path)
            files.make_directory(segment.folder)
            self._handle: Handle | None = segment.handles.take(segment)
        except OSError as error:
            raise StorageError(self._place, error.strerror or str(error)) from error

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        segment = self.segment
        index = segment.lookup()
        if segment.first_timestamp == -1 and spans:
            segment.first_timestamp = spans[0].max_timestamp
        assert self._handle is not None, "a rewrite is appended to before it is finished or abandoned"
        try:
            self._handle.file.append(data, sum(span.size for span in spans))
        except OSError as error:
            raise StorageError(self._place, error.strerror or str(error)) from error
        for span in spans:
            index.add(span.size, span.last_offset, segment.size, span.max_timestamp)
            segment.size += span.size

    def finish(self) -> None:
        segment, folder, base = self.segment, self.segment.folder, self.segment.base_offset
        with self._names_lock:
            if self.is_abandoned or self._handle is None:
                return
            try:
                self._handle.file.sync()
                segment.write_index(names.SWAP)
                end = f"{self.end_base}\n".encode()
                self._files.write_file(names.path_of(folder, base, names.RANGE, names.SWAP), end, sync_name=False)
                self._files.sync_directory(folder)
                segment.handles.move(segment, names.path_of(folder, base, names.LOG, names.SWAP))
                self._files.sync_directory(folder)
            except OSError as error:
                raise StorageError(self._place, error.strerror or str(error)) from error
            segment.is_sealed = True
            self.is_finished = True
            self._release()

    def _release(self) -> None:
        if self._handle is not None:
            self.segment.handles.release(self._handle)
            self._handle = None

    def abandon(self) -> None:
        with self._names_lock:
            self.discard()

    def discard(self) -> None:
        """As `abandon`, for those who hold the lock or know that its thread is done."""
        if self.is_abandoned or self.is_replaced:
            return
        self.is_abandoned = True
        self._release()
        segment = self.segment
        segment.handles.forget(segment)
        segment.is_gone = True
        try:
            self._files.remove(segment.log_path)
            for kind in (*names.LOOKUPS, names.RANGE):
                self._files.remove(names.path_of(segment.folder, segment.base_offset, kind, names.SWAP))
        except OSError as error:
            raise StorageError(self._place, error.strerror or str(error)) from error
