"""One SQLite file: its connections, its write lock, its errors.

Write-ahead logging with `synchronous=FULL`: a transaction is on the disk when COMMIT returns, readers see the state before it or
after it and never wait. SQLite lets one connection write at a time and makes the others poll; inside this process a lock per
file makes them wait in line instead.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from mainstem.api.files import FileSystem
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_sqlite import schema

READERS_MAX = 8
"""Idle connections for reading that are kept open; more are made when more threads read at a time."""
WAL_BYTES = 16 << 20
"""When the write-ahead log is this long, the commit that finds it so copies it into the file."""
WAL_BYTES_MAX = 64 << 20
WAL_RESTART_TIMEOUT_MS = 100
_REASONS = {
    "disk I/O error": "the disk could not be read or written",
    "locked": "another program is writing to this file and did not stop in time",
    "full": "the disk is full; nothing of this write was kept, everything before it was",
    "readonly": "the file may not be written by this user",
    "unable to open": "the file cannot be opened or created",
    "not a database": "this is not an SQLite file",
    "malformed": "the file is damaged; `sqlite3 FILE .recover` saves what can be read",
}
"""What SQLite's messages mean to the person who reads them."""


class WriteLock:
    """A lock that can be kept in a dictionary of weak references."""

    def __init__(self) -> None:
        self.lock = threading.RLock()


_write_locks: WeakValueDictionary[Path, WriteLock] = WeakValueDictionary()


class Database:
    """Lives as long as a store. Connections may be used by any thread, by one at a time."""

    def __init__(self, path: Path, files: FileSystem, *, busy_timeout_ms: int) -> None:
        """Opens nothing yet. `files` makes the directory; what is in the file is SQLite's."""
        self.path = path
        self._files = files
        self._busy_timeout_ms = busy_timeout_ms
        self._write_lock = _write_locks.setdefault(path.absolute(), WriteLock())
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._wal_path = path.with_name(path.name + "-wal")
        self._wal_bytes_limit = WAL_BYTES_MAX

    def open(self) -> None:
        """Open or create. Raises: StorageError if the file is no data file of mainstem, or of a later version."""
        if self._writer is not None:
            return
        with self._write_lock.lock, self.errors():
            try:
                self._files.make_directory(self.path.parent)
                connection = self._connect()
                try:
                    if self._prepare(connection):
                        # SQLite syncs what it writes, and the names in the directory; the directory has a name, too.
                        self._files.sync_directory(self.path.parent.parent)
                except BaseException:
                    connection.close()
                    raise
            except OSError as error:
                raise StorageError(str(self.path), error.strerror or str(error)) from error
            self._writer = connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
        )
        # FULL: a commit syncs the log. secure_delete would overwrite what is deleted, which some systems switch on.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> bool:
        """True: it was made just now."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
        is_new = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not is_new and owner != schema.APPLICATION_ID:
            raise StorageError(str(self.path), "this SQLite file was not made by mainstem")
        if version > schema.SCHEMA_VERSION:
            raise StorageError(
                str(self.path), f"it has schema version {version}, and this version reads {schema.SCHEMA_VERSION}"
            )
        if is_new:
            connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        page_bytes = int(connection.execute("PRAGMA page_size").fetchone()[0])
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_BYTES // page_bytes}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if is_new:
            # executescript would commit before it begins; a crash in the middle must leave an empty file.
            statements = [s for s in (schema.TABLES + schema.VIEWS).split(";") if s.strip()]
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")
            connection.execute("COMMIT")
        return is_new

    @contextmanager
    def errors(self) -> Iterator[None]:
        """SQLite's exceptions as StorageError, with a sentence that says what to do."""
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            reasons = [f"{reason} ({text})" for sign, reason in _REASONS.items() if sign in text]
            raise StorageError(str(self.path), reasons[0] if reasons else text) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction. Blocking. Raises: StorageError; nothing of it is kept then."""
        with self._write_lock.lock, self.errors():
            connection = self._writer
            if connection is None:
                raise StorageError(str(self.path), "it is closed")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
                self._bound_wal(connection)
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _bound_wal(self, connection: sqlite3.Connection) -> None:
        """SQLite starts the write-ahead log anew only when nobody reads from it. If there is always somebody, it is made to wait
        for a moment without; who reads for minutes, as a person may, is not waited for."""
        try:
            size = self._wal_path.stat().st_size
        except OSError:
            return
        if size < self._wal_bytes_limit:
            return
        connection.execute(f"PRAGMA busy_timeout = {WAL_RESTART_TIMEOUT_MS}")
        try:
            is_busy = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0]
        except sqlite3.Error:
            # The commit before it is on the disk. What is wrong shows in the next one.
            is_busy = True
        connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
        self._wal_bytes_limit = size + WAL_BYTES_MAX if is_busy else WAL_BYTES_MAX

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for one query after another. Blocking. Raises: StorageError."""
        with self.errors():
            try:
                connection = self._readers.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            finally:
                if self._writer is not None and len(self._readers) < READERS_MAX:
                    self._readers.append(connection)
                else:
                    connection.close()

    def release_space(self, pages_max: int) -> bool:
        """Give unused pages back to the file system, if a quarter of the file is unused. True: there are more. Blocking."""
        with self._write_lock.lock, self.errors():
            connection = self._writer
            if connection is None:
                return False
            unused = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
            if unused < pages_max or unused * 4 < int(connection.execute("PRAGMA page_count").fetchone()[0]):
                return False
            connection.execute(f"PRAGMA incremental_vacuum({pages_max})").fetchall()
            return True

    def close(self) -> None:
        """The last connection that closes copies the write-ahead log into the file and removes it. Raises: StorageError."""
        with self._write_lock.lock, self.errors():
            writer, self._writer = self._writer, None
            while self._readers:
                self._readers.pop().close()
            if writer is not None:
                writer.close()
