"""Open segment files, bounded: when there are too many, one that was not used lately is closed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

from mainstem.api.files import File, FileSystem

INDEX_ENTRIES_MAX = 4_000_000
"""Of closed segments, over a whole directory; 20 bytes each in memory."""


class Owner(Protocol):
    """A segment, as far as handles are concerned."""

    log_path: Path
    is_new: bool
    is_gone: bool
    opened: Handle | None

    def forget_index(self) -> None:
        """Drop the lookup tables from memory; they are on the disk."""


class Handle:
    """A segment's open file. `pins` counts threads in the middle of using it and appends that wait for a sync; a pinned
    file is never closed. `in_use` is the loop's own pin, which needs no lock."""

    __slots__ = ("file", "in_use", "is_closed", "owner", "pins", "was_used")

    def __init__(self, owner: Owner, file: File) -> None:
        self.owner = owner
        self.file = file
        self.pins = 0
        self.in_use = False
        self.was_used = True
        self.is_closed = False


class Handles:
    """One per log directory. `_lock` guards pins, paths and closing: reads, flushes and renames happen in other threads."""

    def __init__(self, files: FileSystem, open_max: int) -> None:
        self.files = files
        self.open_max = open_max
        self._open: dict[Owner, Handle] = {}
        self._indexes: dict[Owner, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, owner: Owner) -> Handle:
        """The open file, for the loop: it stays open until `in_use` is set to false."""
        with self._lock:
            handle = self._get(owner)
            handle.in_use = True
            return handle

    def take(self, owner: Owner) -> Handle:
        """The open file, pinned until `release`."""
        with self._lock:
            handle = self._get(owner)
            handle.pins += 1
            return handle

    def hold(self, handle: Handle) -> None:
        """Pin a file that is open for certain."""
        with self._lock:
            handle.pins += 1

    def release(self, handle: Handle) -> None:
        with self._lock:
            handle.pins -= 1
            if handle.pins == 0:
                if handle.is_closed:
                    handle.file.close()
                elif handle.owner.is_gone:
                    # Opened again by a reader that still knew the segment.
                    self._close(handle)

    def _get(self, owner: Owner) -> Handle:
        handle = owner.opened
        if handle is None or handle.is_closed:
            handle = owner.opened = self._open[owner] = Handle(owner, self._open_file(owner))
            if len(self._open) > self.open_max:
                self._close_one(handle)
        handle.was_used = True
        return handle

    def _open_file(self, owner: Owner) -> File:
        """A file that should exist is never created: it may just have been removed."""
        if not owner.is_new:
            return self.files.open(owner.log_path, create=False)
        try:
            file = self.files.open(owner.log_path)
        except FileNotFoundError:
            self.files.make_directory(owner.log_path.parent)
            file = self.files.open(owner.log_path)
        owner.is_new = False
        return file

    def _close_one(self, newest: Handle) -> None:
        """Second chance: a file used since the last round is spared once and goes to the end of the line."""
        for owner in list(self._open):
            handle = self._open[owner]
            if handle is newest or handle.pins or handle.in_use:
                continue
            if handle.was_used:
                handle.was_used = False
                self._open[owner] = self._open.pop(owner)
                continue
            self._close(handle)
            if not handle.is_closed:
                continue
            return

    def _close(self, handle: Handle) -> None:
        handle.is_closed = True
        if handle.in_use:
            # The loop took it between the look at `in_use` and here; it looks at `is_closed` after it has set `in_use`, so
            # one of the two notices the other.
            handle.is_closed = False
            return
        self._open.pop(handle.owner, None)
        if handle.owner.opened is handle:
            # The two would keep each other in memory until the collector comes.
            handle.owner.opened = None
        if handle.pins == 0:
            handle.file.close()

    def forget(self, owner: Owner) -> None:
        """Close its file, at once or as soon as nobody uses it."""
        with self._lock:
            self._indexes.pop(owner, None)
            if owner.opened is not None and not owner.opened.is_closed:
                self._close(owner.opened)

    def move(self, owner: Owner, target: Path) -> None:
        """Rename its file while others may open it. Raises: OSError."""
        with self._lock:
            if not owner.is_new:
                self.files.rename(owner.log_path, target)
            owner.log_path = target

    def note_index(self, owner: Owner, entries: int) -> None:
        """A closed segment's tables were used; the longest unused ones leave memory when there are too many."""
        with self._lock:
            self._indexes.pop(owner, None)
            self._indexes[owner] = entries
            total = sum(self._indexes.values()) if len(self._indexes) > 1 else 0
            while total > INDEX_ENTRIES_MAX and len(self._indexes) > 1:
                oldest = next(iter(self._indexes))
                total -= self._indexes.pop(oldest)
                oldest.forget_index()

    def close(self) -> None:
        with self._lock:
            for handle in list(self._open.values()):
                handle.in_use = False
                self._close(handle)
