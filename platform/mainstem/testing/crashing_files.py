"""A file system in memory that can lose power: what was not synced is dropped or torn, names that were not synced may vanish.

files = CrashingFiles(crash_at=17)          the 17th call raises PowerLoss
...
survivor = files.after_crash(random.Random(3))

A rename is atomic, as POSIX has it. Beyond that, changes of names that no `sync_directory` covered survive in any combination.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from mainstem.api.files import Buffer


class PowerLoss(BaseException):
    """Not an Exception: nothing but the test may catch it."""


class _Inode:
    """`data` is what readers see; `synced` is what the disk has for sure."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.synced = b""

    def survive(self, rng: random.Random) -> _Inode:
        """After the crash: the synced bytes, and of what came later any prefix, perhaps with garbage at its end."""
        survivor = _Inode(self.synced)
        if bytes(self.data[: len(self.synced)]) == self.synced:
            extra = self.data[len(self.synced) :]
            kept = extra[: rng.randint(0, len(extra))]
            survivor.data += kept
            if kept and rng.random() < 0.3:
                torn = rng.randint(1, len(kept))
                survivor.data[-torn:] = bytes(torn) if rng.random() < 0.5 else rng.randbytes(torn)
        elif rng.random() < 0.5:
            survivor.data = bytearray(self.data)
        survivor.synced = bytes(survivor.data)
        return survivor


class _Folder:
    """`entries` is what readers see; `unsynced` are the changes, oldest first, that the disk may or may not have."""

    def __init__(self) -> None:
        self.entries: dict[str, _Inode | _Folder] = {}
        self._synced: dict[str, _Inode | _Folder] = {}
        self._unsynced: list[dict[str, _Inode | _Folder | None]] = []

    def change(self, changes: dict[str, _Inode | _Folder | None]) -> None:
        """All of them or none survive."""
        _apply(self.entries, changes)
        self._unsynced.append(changes)

    def sync(self) -> None:
        self._synced = dict(self.entries)
        self._unsynced.clear()

    def sync_all(self) -> None:
        self.sync()
        for node in self.entries.values():
            if isinstance(node, _Folder):
                node.sync_all()
            else:
                node.synced = bytes(node.data)

    def survive(self, rng: random.Random, seen: dict[int, _Inode]) -> _Folder:
        names = dict(self._synced)
        likelihood = rng.choice((0.0, 0.5, 0.5, 1.0))
        for changes in self._unsynced:
            if rng.random() < likelihood:
                _apply(names, changes)
        survivor = _Folder()
        for name, node in sorted(names.items()):
            if isinstance(node, _Folder):
                survivor.entries[name] = node.survive(rng, seen)
            else:
                survivor.entries[name] = seen.setdefault(id(node), node.survive(rng))
        survivor.sync()
        return survivor


def _apply(entries: dict[str, _Inode | _Folder], changes: dict[str, _Inode | _Folder | None]) -> None:
    for name, node in changes.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


class CrashingFile:
    """See `api.files.File`."""

    def __init__(self, files: CrashingFiles, inode: _Inode) -> None:
        self._files = files
        self._inode = inode

    def append(self, buffers: Sequence[Buffer], size: int) -> None:
        whole = b"".join(buffers)
        if self._files.is_last_call():
            # Power goes in the middle of the write.
            self._inode.data += whole[: len(whole) // 2]
        self._files.count()
        self._inode.data += whole

    def read(self, position: int, size: int, *, may_block: bool = True) -> Buffer:
        return bytes(self._inode.data[position : position + size])

    def truncate(self, size: int) -> None:
        self._files.count()
        del self._inode.data[size:]

    def size(self) -> int:
        return len(self._inode.data)

    def sync(self) -> None:
        self._files.count()
        if not self._files.lies_about_sync:
            self._inode.synced = bytes(self._inode.data)

    def close(self) -> None:
        """Nothing to release."""


class CrashingFiles:
    """See `api.files.FileSystem`. `lies_about_sync` plants the bug that crash tests must find."""

    def __init__(
        self, crash_at: int | None = None, *, lies_about_sync: bool = False, has_sync_all: bool = True
    ) -> None:
        self.crash_at = crash_at
        self.calls = 0
        self.has_sync_all = has_sync_all
        self.lies_about_sync = lies_about_sync
        self._root = _Folder()

    def is_last_call(self) -> bool:
        return self.crash_at is not None and self.calls + 1 >= self.crash_at

    def count(self) -> None:
        """Every call that changes the disk comes here first."""
        self.calls += 1
        if self.crash_at is not None and self.calls >= self.crash_at:
            raise PowerLoss

    def after_crash(self, rng: random.Random) -> CrashingFiles:
        """The disk as the next start finds it."""
        survivor = CrashingFiles(has_sync_all=self.has_sync_all)
        survivor._root = self._root.survive(rng, {})
        return survivor

    def _node(self, path: Path) -> _Inode | _Folder:
        node: _Inode | _Folder = self._root
        for name in path.parts[1:]:
            if not isinstance(node, _Folder):
                raise NotADirectoryError(path)
            if name not in node.entries:
                raise FileNotFoundError(path)
            node = node.entries[name]
        return node

    def _folder(self, path: Path) -> _Folder:
        node = self._node(path)
        if not isinstance(node, _Folder):
            raise NotADirectoryError(path)
        return node

    def _inode(self, path: Path) -> _Inode:
        node = self._node(path)
        if not isinstance(node, _Inode):
            raise IsADirectoryError(path)
        return node

    def open(self, path: Path, *, create: bool = True) -> CrashingFile:
        folder = self._folder(path.parent)
        if path.name not in folder.entries and create:
            self.count()
            folder.change({path.name: _Inode()})
        return CrashingFile(self, self._inode(path))

    def read_file(self, path: Path) -> bytes:
        return bytes(self._inode(path).data)

    def write_file(self, path: Path, content: bytes, *, sync: bool = True, sync_name: bool = True) -> None:
        folder = self._folder(path.parent)
        temporary = path.name + ".tmp"
        inode = _Inode(content)
        self.count()
        folder.change({temporary: inode})
        if sync:
            self.count()
            if not self.lies_about_sync:
                inode.synced = content
        self.count()
        folder.change({temporary: None, path.name: inode})
        if sync and sync_name:
            self.sync_directory(path.parent)

    def list_directory(self, path: Path) -> list[str]:
        try:
            return list(self._folder(path).entries)
        except FileNotFoundError:
            return []

    def file_size(self, path: Path) -> int:
        return len(self._inode(path).data)

    def make_directory(self, path: Path) -> None:
        """Only the last name may be lost in a crash: the folders above it stand for the machine's own."""
        node = self._root
        for name in path.parts[1:]:
            if name not in node.entries:
                self.count()
                node.change({name: _Folder()})
                if name != path.name:
                    node.sync()
            node = self._folder_in(node, name)

    def _folder_in(self, node: _Folder, name: str) -> _Folder:
        found = node.entries[name]
        assert isinstance(found, _Folder), name
        return found

    def rename(self, source: Path, target: Path) -> None:
        node = self._node(source)
        self.count()
        self._folder(source.parent).change({source.name: None, target.name: node})

    def remove(self, path: Path) -> None:
        try:
            self._inode(path)
        except FileNotFoundError:
            return
        self.count()
        self._folder(path.parent).change({path.name: None})

    def remove_tree(self, path: Path) -> None:
        try:
            folder = self._folder(path)
        except FileNotFoundError:
            return
        for name in list(folder.entries):
            self.count()
            folder.change({name: None})
        self.count()
        self._folder(path.parent).change({path.name: None})

    def sync_all(self, path: Path) -> bool:
        if not self.has_sync_all:
            return False
        self.count()
        if not self.lies_about_sync:
            self._root.sync_all()
        return True

    def lock_directory(self, path: Path) -> Callable[[], None]:
        return lambda: None

    def sync_directory(self, path: Path) -> None:
        self.count()
        self._folder(path).sync()
