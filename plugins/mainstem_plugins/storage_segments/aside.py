"""What one log directory has put aside, and the folders it has made: both become durable or disappear away from the loop."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from mainstem.api.files import FileSystem


class Unsettled(Protocol):
    """A log whose replaced segments still have their names."""

    def settle(self) -> None:
        """Blocking. Raises: StorageError."""


class Aside:
    """`put` and `note_new_folder` on the loop; `purge` and `sync_folders` in any thread."""

    def __init__(self, files: FileSystem, directory: Path) -> None:
        self._files = files
        self._directory = directory
        self._paths: list[Path] = []
        self._folders: list[Path] = []
        self._unsettled: list[Unsettled] = []
        self._folders_made = 0
        self._folders_synced = 0
        self._folders_are_syncing = threading.Lock()

    def put(self, paths: Iterable[Path]) -> None:
        self._paths.extend(paths)

    def put_folder(self, folder: Path) -> None:
        self._folders.append(folder)
        self._folders_made += 1

    def put_log(self, log: Unsettled) -> None:
        self._unsettled.append(log)

    def note_new_folder(self) -> None:
        self._folders_made += 1

    def sync_folders(self) -> None:
        """The names of all folders that were made before this call are durable. Raises: OSError."""
        with self._folders_are_syncing:
            made = self._folders_made
            if made != self._folders_synced:
                self._files.sync_directory(self._directory)
                self._folders_synced = made

    def purge(self) -> None:
        """Raises: OSError, StorageError; what is left is tried again next time."""
        logs, self._unsettled = self._unsettled, []
        for log in logs:
            log.settle()
        paths, self._paths = self._paths, []
        for path in paths:
            self._files.remove(path)
        folders, self._folders = self._folders, []
        if folders:
            # A crash must not bring half a folder back under its old name.
            self.sync_folders()
        for folder in folders:
            self._files.remove_tree(folder)
