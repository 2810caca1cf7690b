"""Small files of the broker as rows of the same SQLite file, behind the file port: above all the metadata journal.

Each append is a row and a durable transaction of its own, so that a journal can be read line by line with the sqlite3 shell.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mainstem.api.files import Buffer, File, FileSystem
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_sqlite.database import Database

_APPEND = "INSERT INTO files (path, content) VALUES (?, ?)"
_PARTS = "SELECT part_id, content FROM files WHERE path = ? ORDER BY part_id"
_SIZE = "SELECT count(*), coalesce(sum(length(content)), 0) FROM files WHERE path = ?"
_DELETE = "DELETE FROM files WHERE path = ?"


class SqliteFile:
    """See `api.files.File`. Small: it is read as a whole. Keeps the database open for as long as it is open itself."""

    def __init__(self, name: str, database: Database, on_close: Callable[[], None]) -> None:
        self._name = name
        self._database = database
        self._on_close = on_close

    def append(self, buffers: Sequence[Buffer], size: int) -> None:
        with self._database.writing() as connection:
            connection.execute(_APPEND, (self._name, b"".join(buffers)))

    def read(self, position: int, size: int, *, may_block: bool = True) -> Buffer:
        with self._database.reading() as connection:
            content = b"".join(part for _, part in connection.execute(_PARTS, (self._name,)))
        return content[position : position + size]

    def truncate(self, size: int) -> None:
        left = size
        with self._database.writing() as connection:
            for part_id, content in connection.execute(_PARTS, (self._name,)).fetchall():
                if left >= len(content):
                    left -= len(content)
                    continue
                if left:
                    connection.execute("UPDATE files SET content = ? WHERE part_id = ?", (content[:left], part_id))
                else:
                    connection.execute("DELETE FROM files WHERE part_id = ?", (part_id,))
                left = 0

    def size(self) -> int:
        with self._database.reading() as connection:
            return int(connection.execute(_SIZE, (self._name,)).fetchone()[1])

    def sync(self) -> None:
        """Every call above is durable when it returns."""

    def close(self) -> None:
        self._on_close()


class SqliteFiles:
    """See `api.files.FileSystem`. Paths are those that the files would have in `directory`; directories exist in name only.

    The database is open while a file is, so that the last one that closes leaves no write-ahead log behind.
    """

    def __init__(self, directory: Path, database: Database, outside: FileSystem) -> None:
        """`outside`: the real file system, for the lock on the directory."""
        self._directory = directory
        self._database = database
        self._outside = outside
        self._users = 0

    def _name(self, path: Path) -> str:
        return path.relative_to(self._directory).as_posix()

    def _enter(self) -> None:
        self._database.open()
        self._users += 1

    def _leave(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._database.close()

    @contextmanager
    def _opened(self) -> Iterator[Database]:
        self._enter()
        try:
            yield self._database
        finally:
            self._leave()

    def open(self, path: Path, *, create: bool = True) -> File:
        name = self._name(path)
        self._enter()
        try:
            with self._database.writing() as connection:
                if not connection.execute(_SIZE, (name,)).fetchone()[0]:
                    if not create:
                        raise _missing(path)
                    # A file without a row would not exist; this one stays when the others are cut off.
                    connection.execute(_APPEND, (name, b""))
        except (StorageError, FileNotFoundError):
            self._leave()
            raise
        return SqliteFile(name, self._database, self._leave)

    def read_file(self, path: Path) -> bytes:
        with self._opened() as database, database.reading() as connection:
            parts = connection.execute(_PARTS, (self._name(path),)).fetchall()
        if not parts:
            raise _missing(path)
        return b"".join(content for _, content in parts)

    def write_file(self, path: Path, content: bytes, *, sync: bool = True, sync_name: bool = True) -> None:
        name = self._name(path)
        with self._opened() as database, database.writing() as connection:
            connection.execute(_DELETE, (name,))
            # A line each, as they would have been appended.
            for line in (b"", *content.splitlines(keepends=True)):
                connection.execute(_APPEND, (name, line))

    def list_directory(self, path: Path) -> list[str]:
        prefix = f"{self._name(path)}/" if path != self._directory else ""
        with self._opened() as database, database.reading() as connection:
            names = [row[0] for row in connection.execute("SELECT DISTINCT path FROM files ORDER BY path")]
        return sorted({name[len(prefix) :].partition("/")[0] for name in names if name.startswith(prefix)})

    def file_size(self, path: Path) -> int:
        with self._opened() as database, database.reading() as connection:
            rows, size = connection.execute(_SIZE, (self._name(path),)).fetchone()
        if not rows:
            raise _missing(path)
        return int(size)

    def make_directory(self, path: Path) -> None:
        pass

    def rename(self, source: Path, target: Path) -> None:
        with self._opened() as database, database.writing() as connection:
            connection.execute(_DELETE, (self._name(target),))
            connection.execute("UPDATE files SET path = ? WHERE path = ?", (self._name(target), self._name(source)))

    def remove(self, path: Path) -> None:
        with self._opened() as database, database.writing() as connection:
            connection.execute(_DELETE, (self._name(path),))

    def remove_tree(self, path: Path) -> None:
        name = self._name(path)
        with self._opened() as database, database.writing() as connection:
            connection.execute(
                "DELETE FROM files WHERE path = ? OR substr(path, 1, ?) = ?", (name, len(name) + 1, name + "/")
            )

    def sync_directory(self, path: Path) -> None:
        pass

    def sync_all(self, path: Path) -> bool:
        """Every call above is durable when it returns."""
        return True

    def lock_directory(self, path: Path) -> Callable[[], None]:
        return self._outside.lock_directory(path)


def _missing(path: Path) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
