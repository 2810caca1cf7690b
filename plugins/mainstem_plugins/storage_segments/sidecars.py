"""The small files of one log: what is put and deleted is true at once and reaches the disk with the log's next flush.

So an append that begins a leader epoch, or rolls, waits for no disk on the loop; a crash before the flush finds the log without
the records that the file was about, too.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from mainstem.api.files import FileSystem
from mainstem_plugins.storage_segments.names import SIDECAR_FILE

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Sidecars:
    """Put, get and delete on the loop; `write` in the flushing thread, one at a time.

    `_staged` waits for the next write, `_writing` is being written; a value of None means that the file goes.
    """

    __slots__ = ("_files", "_folder", "_names", "_staged", "_writing")

    def __init__(self, files: FileSystem, folder: Path, names: Sequence[str]) -> None:
        self._files = files
        self._folder = folder
        self._names = frozenset(names)
        self._staged: dict[str, bytes | None] = {}
        self._writing: dict[str, bytes | None] = {}

    def put(self, name: str, content: bytes) -> None:
        self._staged[name] = content

    def delete(self, name: str) -> None:
        if self.has(name):
            self._staged[name] = None

    def has(self, name: str) -> bool:
        for waiting in (self._staged, self._writing):
            if name in waiting:
                return waiting[name] is not None
        return name in self._names

    def get(self, name: str) -> bytes:
        """Raises: FileNotFoundError."""
        for waiting in (self._staged, self._writing):
            content = waiting.get(name)
            if content is not None:
                return content
        if not self.has(name):
            raise FileNotFoundError(self._folder / name)
        return self._files.read_file(self._folder / name)

    def offsets(self, kind: str) -> list[int]:
        """Under which files of that kind are kept, ascending."""
        found = []
        for name in self._names | self._staged.keys() | self._writing.keys():
            match = SIDECAR_FILE.fullmatch(name)
            if match is not None and match[2] == kind and self.has(name):
                found.append(int(match[1]))
        return sorted(found)

    @property
    def is_waiting(self) -> bool:
        """Whether something is not on the disk yet."""
        return bool(self._staged)

    def write(self, *, sync: bool = True) -> list[Path]:
        """Write what was put; its names are durable once the caller has synced the folder. Returns what goes after that.

        Where the disk is full it stays for the next time: all of these files can be rebuilt from the log. Raises: OSError.
        """
        self._writing = writing = self._staged
        self._staged = {}
        written, doomed = set(), []
        try:
            for name, content in writing.items():
                if content is None:
                    doomed.append(name)
                    continue
                self._files.write_file(self._folder / name, content, sync=sync, sync_name=False)
                written.add(name)
        except OSError as error:
            for name, content in writing.items():
                if name not in written:
                    self._staged.setdefault(name, content)
            if error.errno not in NO_ROOM:
                raise
            doomed = []
        finally:
            self._names = (self._names | written) - set(doomed)
            self._writing = {}
        return [self._folder / name for name in doomed]
