"""The file port: everything a plugin must do to a disk when its bytes have to survive a crash, and nothing else.

`OsFiles` is the real thing. Its test double (`mainstem.testing.crashing_files`) keeps only synced bytes. Where a system has no
fdatasync or RWF_NOWAIT, `OsFiles` falls back to fsync and to reads that always ask for a thread.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from mainstem.api.read_buffers import ReadBuffers
from mainstem.model.errors import DirectoryInUseError, StorageError

IOV_MAX = 1024
LOCK_FILE = ".lock"
Buffer = bytes | bytearray | memoryview


class WouldBlock(Exception):
    """A read with `may_block=False` that would have to wait for a disk. Read again in a thread with `may_block=True`."""


class File(Protocol):
    def append(self, buffers: Sequence[Buffer], size: int) -> None:
        """Write `size` bytes at the end; the caller knows the file's size. Raises: OSError, after cutting off a part write."""

    def read(self, position: int, size: int, *, may_block: bool = True) -> Buffer:
        """Up to `size` bytes; fewer only at the end of the file. Raises: WouldBlock, OSError."""

    def truncate(self, size: int) -> None: ...

    def size(self) -> int: ...

    def sync(self) -> None:
        """The file's bytes and length are on the disk when this returns. May run in a thread beside the other calls."""

    def close(self) -> None: ...


class FileSystem(Protocol):
    def open(self, path: Path, *, create: bool = True) -> File:
        """For reading and appending; created if missing, or FileNotFoundError without `create`."""

    def read_file(self, path: Path) -> bytes: ...

    def write_file(self, path: Path, content: bytes, *, sync: bool = True, sync_name: bool = True) -> None:
        """Replace a whole file atomically: temporary file, sync, rename, sync of the directory.

        Without `sync_name` the caller syncs the directory, once for many files; without `sync` the content as well
        (`sync_all`). Raises: OSError; nothing is left behind then.
        """

    def list_directory(self, path: Path) -> list[str]:
        """Names in it; empty if there is no such directory."""

    def file_size(self, path: Path) -> int: ...

    def make_directory(self, path: Path) -> None: ...

    def rename(self, source: Path, target: Path) -> None: ...

    def remove(self, path: Path) -> None:
        """Does nothing if it is gone already."""

    def remove_tree(self, path: Path) -> None: ...

    def sync_directory(self, path: Path) -> None:
        """Names created, renamed and removed in it are on the disk."""

    def sync_all(self, path: Path) -> bool:
        """Everything written so far to the file system that `path` is on, names included, is on the disk: one call instead of
        one per file. False where the system cannot do that, and then nothing has happened. Raises: OSError.
        """

    def lock_directory(self, path: Path) -> Callable[[], None]:
        """Keep other processes out until the returned function is called or this process ends; the directory is created.

        Raises: DirectoryInUseError if another one holds it, StorageError if it cannot be written.
        """


def _full_sync(descriptor: int) -> None:
    """macOS: fsync leaves bytes in the drive's cache, F_FULLFSYNC does not."""
    import fcntl

    fcntl.fcntl(descriptor, getattr(fcntl, "F_FULLFSYNC"))  # noqa: B009 - the name exists on macOS only


def _is_on(feature: str) -> bool:
    """Features that a system may lack can be switched off, so that the fallbacks are tested where they are never needed."""
    return os.environ.get(f"MAINSTEM_{feature}", "1") != "0"


if sys.platform == "darwin":
    _sync = _full_sync
else:
    _sync = getattr(os, "fdatasync", os.fsync) if _is_on("FDATASYNC") else os.fsync


def _find_syncfs() -> Callable[[int], None] | None:
    """Linux's syncfs(2), which Python does not wrap; before Linux 5.8 it reports no errors."""
    if sys.platform != "linux" or not _is_on("SYNCFS"):
        return None
    import ctypes

    try:
        function = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None

    def syncfs(descriptor: int) -> None:
        if function(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return syncfs


RWF_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None) if _is_on("NOWAIT") else None


class OsFile:
    """One open file. Appends go through O_APPEND, so no position can be wrong."""

    __slots__ = ("_buffers", "_descriptor", "_nowait")

    def __init__(self, path: Path, nowait: int | None, buffers: ReadBuffers, *, create: bool) -> None:
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        flags |= os.O_CREAT if create else 0
        self._descriptor = os.open(path, flags, 0o644)
        self._nowait = nowait
        self._buffers = buffers

    def append(self, buffers: Sequence[Buffer], size: int) -> None:
        written = os.writev(self._descriptor, buffers) if len(buffers) <= IOV_MAX else 0
        if written != size:
            self._append_rest(buffers, size, written)

    def _append_rest(self, buffers: Sequence[Buffer], size: int, written: int) -> None:
        """A short write: the disk is nearly full, a signal came, or there are too many buffers for one call."""
        rest = memoryview(b"".join(buffers))[written:]
        try:
            while rest:
                count = os.write(self._descriptor, rest)
                written += count
                rest = rest[count:]
        except OSError:
            if written:
                os.ftruncate(self._descriptor, self.size() - written)
            raise

    def read(self, position: int, size: int, *, may_block: bool = True) -> Buffer:
        if may_block:
            return os.pread(self._descriptor, size, position)
        if self._nowait is None:
            raise WouldBlock
        buffer = self._buffers.take(size)
        try:
            count = os.preadv(self._descriptor, [buffer], position, self._nowait)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS):
                raise WouldBlock from None
            raise
        if count < size:
            # Either the end of the file or a page that is not in memory: only a blocking read can tell.
            raise WouldBlock
        return buffer

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def sync(self) -> None:
        _sync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class OsFiles:
    """The real file system."""

    def __init__(self, *, nowait: int | None = RWF_NOWAIT) -> None:
        self._nowait = nowait
        # Only reads that may not block use them, and those are the loop's.
        self._buffers = ReadBuffers()

    def open(self, path: Path, *, create: bool = True) -> File:
        return OsFile(path, self._nowait, self._buffers, create=create)

    def read_file(self, path: Path) -> bytes:
        return path.read_bytes()

    def write_file(self, path: Path, content: bytes, *, sync: bool = True, sync_name: bool = True) -> None:
        temporary = path.with_name(path.name + ".tmp")
        try:
            with temporary.open("wb", buffering=0) as file:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                if sync:
                    _sync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        if sync and sync_name:
            self.sync_directory(path.parent)

    def list_directory(self, path: Path) -> list[str]:
        try:
            return os.listdir(path)
        except FileNotFoundError:
            return []

    def file_size(self, path: Path) -> int:
        return path.stat().st_size

    def make_directory(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        shutil.rmtree(path, ignore_errors=True)

    def sync_directory(self, path: Path) -> None:
        if os.name == "nt":  # Windows cannot open a directory; NTFS journals names by itself.
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_all(self, path: Path) -> bool:
        syncfs = _find_syncfs()
        if syncfs is None:
            return False
        descriptor = os.open(path, os.O_RDONLY)
        try:
            syncfs(descriptor)
        finally:
            os.close(descriptor)
        return True

    def lock_directory(self, path: Path) -> Callable[[], None]:
        try:
            path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(str(path), error.strerror or str(error)) from error
        if os.name != "nt":
            import fcntl

            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise DirectoryInUseError(str(path)) from None
        return lambda: os.close(descriptor)
