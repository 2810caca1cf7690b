"""Open segment files, bounded: when there are too many, one that was not used lately is closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainstem.api.files import File, FileSystem


class Handle:
    """A segment's open file. `pins` counts threads and loops in the middle of using it; a pinned file is never closed."""

    __slots__ = ("file", "is_closed", "path", "pins", "was_used")

    def __init__(self, path: Path, file: File) -> None:
        self.path = path
        self.file = file
        self.pins = 0
        self.was_used = True
        self.is_closed = False


class Handles:
    """One per log directory. `_lock` guards pins and closing: blocking reads and flushes use files in other threads."""

    def __init__(self, files: FileSystem, open_max: int) -> None:
        self.files = files
        self.open_max = open_max
        self._open: dict[Path, Handle] = {}
        self._lock = threading.Lock()

    def get(self, path: Path) -> Handle:
        with self._lock:
            handle = self._open.get(path)
            if handle is None:
                handle = self._open[path] = Handle(path, self.files.open(path))
                if len(self._open) > self.open_max:
                    self._close_one(handle)
            return handle

    def _close_one(self, newest: Handle) -> None:
        """Second chance: a file used since the last round is spared once and goes to the end of the line."""
        for path in list(self._open):
            handle = self._open[path]
            if handle is newest or handle.pins:
                continue
            if handle.was_used:
                handle.was_used = False
                self._open[path] = self._open.pop(path)
                continue
            self._close(handle)
            return

    def _close(self, handle: Handle) -> None:
        self._open.pop(handle.path, None)
        handle.is_closed = True
        if handle.pins == 0:
            handle.file.close()

    @contextmanager
    def pinned(self, handle: Handle) -> Iterator[None]:
        self.pin(handle)
        try:
            yield
        finally:
            self.unpin(handle)

    def pin(self, handle: Handle) -> None:
        with self._lock:
            handle.pins += 1

    def unpin(self, handle: Handle) -> None:
        with self._lock:
            handle.pins -= 1
            if handle.pins == 0 and handle.is_closed:
                handle.file.close()

    def forget(self, path: Path) -> None:
        """Close a file that is about to be removed or renamed, or as soon as nobody uses it."""
        with self._lock:
            handle = self._open.get(path)
            if handle is not None:
                self._close(handle)

    def close(self) -> None:
        with self._lock:
            for handle in list(self._open.values()):
                self._close(handle)
