"""A file system in memory that can lose power: what was not synced is dropped or torn, names that were not synced may vanish.

files = CrashingFiles(crash_at=17)          the 17th call raises PowerLoss
...
survivor = files.after_crash(random.Random(3))
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

    def __init__(self, crash_at: int | None = None, *, lies_about_sync: bool = False) -> None:
        self.crash_at = crash_at
        self.calls = 0
        self.lies_about_sync = lies_about_sync
        self._names: dict[Path, _Inode] = {}
        self._durable: dict[Path, _Inode] = {}
        self._directories: set[Path] = set()

    def is_last_call(self) -> bool:
        return self.crash_at is not None and self.calls + 1 >= self.crash_at

    def count(self) -> None:
        """Every call that changes the disk comes here first."""
        self.calls += 1
        if self.crash_at is not None and self.calls >= self.crash_at:
            raise PowerLoss

    def after_crash(self, rng: random.Random) -> CrashingFiles:
        """The disk as the next start finds it."""
        survivor = CrashingFiles()
        survivor._directories = set(self._directories)
        seen: dict[int, _Inode] = {}
        for path in sorted(self._names.keys() | self._durable.keys()):
            now, durable = self._names.get(path), self._durable.get(path)
            inode = now if now is durable or rng.random() < 0.5 else durable
            if inode is not None:
                survivor._names[path] = seen.setdefault(id(inode), inode.survive(rng))
        survivor._durable = dict(survivor._names)
        return survivor

    def open(self, path: Path) -> CrashingFile:
        if path not in self._names:
            self.count()
            self._names[path] = _Inode()
        return CrashingFile(self, self._names[path])

    def read_file(self, path: Path) -> bytes:
        if path not in self._names:
            raise FileNotFoundError(path)
        return bytes(self._names[path].data)

    def write_file(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        inode = _Inode(content)
        if durable and not self.lies_about_sync:
            self.count()
            inode.synced = content
        self.count()
        self._names[path] = inode
        if durable:
            self.sync_directory(path.parent)

    def list_directory(self, path: Path) -> list[str]:
        files = [p.name for p in self._names if p.parent == path]
        return files + [d.name for d in self._directories if d.parent == path and d != path]

    def file_size(self, path: Path) -> int:
        return len(self._names[path].data)

    def make_directory(self, path: Path) -> None:
        self.count()
        self._directories |= {path, *path.parents}

    def rename(self, source: Path, target: Path) -> None:
        self.count()
        if source in self._directories:
            self._directories.discard(source)
            self._directories.add(target)
            for path in [p for p in self._names if p.parent == source]:
                self._names[target / path.name] = self._names.pop(path)
            return
        self._names[target] = self._names.pop(source)

    def remove(self, path: Path) -> None:
        if path in self._names:
            self.count()
            del self._names[path]

    def remove_tree(self, path: Path) -> None:
        self.count()
        self._directories.discard(path)
        for name in [p for p in self._names if path in p.parents]:
            del self._names[name]

    def lock_directory(self, path: Path) -> Callable[[], None]:
        return lambda: None

    def sync_directory(self, path: Path) -> None:
        self.count()
        for name in [p for p in self._durable if p.parent == path and p not in self._names]:
            del self._durable[name]
        for name, inode in self._names.items():
            if name.parent == path:
                self._durable[name] = inode
