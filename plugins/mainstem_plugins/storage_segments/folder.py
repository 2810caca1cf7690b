"""The files of one partition and what makes them durable; `log.SegmentLog` is what they mean."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from pathlib import Path

from mainstem.api.storage import SegmentRewrite, SidecarKind
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_segments import names
from mainstem_plugins.storage_segments.aside import Aside
from mainstem_plugins.storage_segments.handles import Handle, Handles
from mainstem_plugins.storage_segments.loading import load_folder
from mainstem_plugins.storage_segments.rewrite import Rewrite
from mainstem_plugins.storage_segments.segment import Segment
from mainstem_plugins.storage_segments.sidecars import NO_ROOM, Sidecars


class SegmentFolder:
    """`_segments` is replaced, never changed: readers in threads keep the row that they began with.

    `_pending` holds, in order, what has happened to the row and not yet to the names: replaced segments, and segments
    that were removed after such a replacement. A start before that is settled completes the replacement by itself.
    `is_synced`: nothing that an earlier process wrote waits in the system's cache.
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
        self._is_synced = is_synced
        self.directory = directory
        self._handles = handles
        self._files = handles.files
        self._aside = aside
        self._interval = index_interval_bytes
        self._unsynced: list[Handle] = []
        self._unchecked: list[Segment] = []
        self._sealed: list[Segment] = []
        self._names_made = 0
        self._names_synced = 0
        self._pending: list[Rewrite | Segment] = []
        self._rewrites: list[Rewrite] = []
        self._is_closed = False
        # One flush at a time: whoever returns from `flush` must know that an earlier one is done, too.
        self._flush_is_running = threading.Lock()
        # Two threads never rename in this folder at a time.
        self._names_lock = threading.RLock()
        found = load_folder(self._files, directory)
        aside.put(found.aside)
        self._sidecars = Sidecars(self._files, directory, found.files)
        if names.METADATA_FILE not in found.files:
            self._sidecars.put(names.METADATA_FILE, metadata)
        self._segments = [self._stored_segment(base) for base in found.bases] or [self._new_segment(0)]
        for segment in self._segments[:-1]:
            segment.is_sealed = True

    def _stored_segment(self, base_offset: int) -> Segment:
        size = self._files.file_size(names.path_of(self.directory, base_offset, names.LOG))
        return Segment(self.directory, base_offset, size, self._handles, self._interval, is_new=False)

    def _new_segment(self, base_offset: int) -> Segment:
        return Segment(self.directory, base_offset, 0, self._handles, self._interval, is_new=True)

    def _create(self, segment: Segment) -> Handle:
        """The file of a new segment, perhaps in a new folder. Raises: OSError."""
        handle = segment.begin()
        self._names_made += 1
        self._aside.note_new_folder()
        return handle

    def _failed(self, error: OSError, *, is_lasting: bool | None = None) -> StorageError:
        """`is_lasting`: whatever the error number says."""
        lasts = error.errno not in (*NO_ROOM, errno.EMFILE, errno.ENFILE) if is_lasting is None else is_lasting
        return StorageError(str(self.directory), error.strerror or str(error), is_lasting=lasts)

    def _put_aside(self, segment: Segment) -> None:
        self._aside.put(segment.put_aside())
        self._sidecars.delete(names.name_of(segment.base_offset, names.TXN_INDEX))

    def _put_aside_durably(self, segments: Sequence[Segment]) -> None:
        """From the newest to the oldest, one by one: whenever a crash comes, what is left has no hole. Raises: OSError."""
        for segment in reversed(segments):
            self._put_aside(segment)
            if not segment.is_new:
                self._files.sync_directory(self.directory)

    # --------------------------------------------------------------------------------------------------------- rewriting

    def rewrite(self, first_base: int, end_base: int) -> SegmentRewrite:
        self.settle()
        replaced = [s for s in self._segments[:-1] if first_base <= s.base_offset < end_base]
        if not replaced or replaced[0].base_offset != first_base:
            raise StorageError(str(self.directory), f"there is no closed segment {first_base} to rewrite")
        for earlier in self._rewrites:
            earlier.abandon()
        begun = Rewrite(self._files, self._names_lock, self._new_segment(first_base), replaced, end_base)
        self._rewrites = [begun]
        return begun

    def replace(self, rewrite: SegmentRewrite) -> bool:
        assert isinstance(rewrite, Rewrite), "a rewrite of another store"
        closed = self._segments[:-1]
        replaced = rewrite.replaced
        if not rewrite.is_finished or rewrite.is_abandoned or any(segment not in closed for segment in replaced):
            rewrite.discard()
            return False
        slot = closed.index(replaced[0])
        self._segments = [*self._segments[:slot], rewrite.segment, *self._segments[slot + len(replaced) :]]
        for segment in replaced:
            segment.is_gone = True
            if segment is not replaced[0]:
                self._sidecars.delete(names.name_of(segment.base_offset, names.TXN_INDEX))
        rewrite.is_replaced = True
        self._rewrites = []
        self._pending.append(rewrite)
        self._aside.put_log(self)
        return True

    def settle(self) -> None:
        """Let the names follow what `replace` did. Blocking. Raises: StorageError."""
        if not self._pending:
            return
        with self._names_lock:
            try:
                while self._pending:
                    done = self._pending[0]
                    if isinstance(done, Rewrite):
                        for segment in done.replaced:
                            self._aside.put(segment.put_aside())
                        # The new segment may only appear when the old ones cannot come back beside it.
                        self._files.sync_directory(self.directory)
                        done.segment.swap_in()
                    else:
                        self._aside.put(done.put_aside())
                    self._pending.pop(0)
                self._files.sync_directory(self.directory)
            except OSError as error:
                raise self._failed(error) from error

    def _abandon_rewrites(self) -> None:
        for rewrite in self._rewrites:
            rewrite.abandon()
        self._rewrites = []

    # ---------------------------------------------------------------------------------------------------------- flushing

    def flush(self) -> None:
        """Appends go on meanwhile on the loop: what they write after the swap is in the next list."""
        with self._flush_is_running:
            if self._is_closed:
                return
            held, self._unsynced = self._unsynced, []
            unchecked, self._unchecked = self._unchecked, []
            try:
                self.settle()
                for handle in held:
                    handle.file.sync()
                for segment in unchecked:
                    self._sync(segment)
                self._flush_names()
            except OSError as error:
                # After a failed sync nobody knows what the disk has.
                raise self._failed(error, is_lasting=True) from error
            finally:
                for handle in held:
                    self._handles.release(handle)

    def _sync(self, segment: Segment) -> None:
        if segment.is_gone or segment.is_new:
            return
        handle = self._handles.take(segment)
        try:
            handle.file.sync()
        finally:
            self._handles.release(handle)

    def _flush_names(self) -> None:
        """Small files, lookup files of closed segments, and the names of all. Raises: OSError."""
        made = self._names_made
        sealed, self._sealed = self._sealed, []
        has_news = bool(sealed) or self._sidecars.is_waiting or made != self._names_synced
        if not has_news or (self._segments[-1].is_new and not self._files.list_directory(self.directory)):
            return
        doomed = self._sidecars.write()
        with self._names_lock:
            for segment in sealed:
                if segment.is_sealed and not (segment.is_gone or segment.is_new):
                    self._write_index(segment)
        self._sync_names(made)
        for path in doomed:
            self._files.remove(path)

    def _write_index(self, segment: Segment) -> None:
        try:
            segment.write_index()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            # Without its tables a segment is walked.

    def _sync_names(self, made: int) -> None:
        self._files.sync_directory(self.directory)
        self._names_synced = made
        self._aside.sync_folders()

    # ---------------------------------------------------------------------------------------------------------- sidecars

    def _sidecar_name(self, kind: str, offset: int) -> str:
        return kind if kind == SidecarKind.LEADER_EPOCHS else names.name_of(offset, kind)

    def put_sidecar(self, kind: str, offset: int, content: bytes) -> None:
        self._sidecars.put(self._sidecar_name(kind, offset), content)

    def get_sidecar(self, kind: str, offset: int) -> bytes:
        try:
            return self._sidecars.get(self._sidecar_name(kind, offset))
        except OSError as error:
            raise self._failed(error) from error

    def sidecars(self, kind: str) -> Sequence[int]:
        if kind == SidecarKind.LEADER_EPOCHS:
            return [0] if self._sidecars.has(kind) else []
        return self._sidecars.offsets(kind)

    def delete_sidecar(self, kind: str, offset: int) -> None:
        self._sidecars.delete(self._sidecar_name(kind, offset))

    # ----------------------------------------------------------------------------------------------------------- closing

    def close(self) -> None:
        self._abandon_rewrites()
        self.settle()
        # After this the folder may be renamed and another one made under its name: a flush must not write into that.
        with self._flush_is_running:
            self._is_closed = True
        for handle in self._unsynced:
            self._handles.release(handle)
        self._unsynced = []
        for segment in self._segments:
            self._handles.forget(segment)

    def leave_small_files(self, *, sync: bool) -> None:
        """For the next start, after `close`: it need not walk the active segment. Blocking. Raises: OSError.

        Without `sync` the caller syncs all logs at once.
        """
        active = self._segments[-1]
        if active.is_new:
            return
        doomed = self._sidecars.write(sync=sync)
        active.write_index(sync=sync)
        self._handles.forget(active)
        if sync:
            self._files.sync_directory(self.directory)
        for path in doomed:
            self._files.remove(path)
