"""Rows into SQLite: one transaction from flush to flush, in a thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorError, Rejected
from mainstem.api.context import PluginContext
from mainstem_connectors.sql.config import SqlSinkConfig

BUSY_TIMEOUT_S = 30.0
TYPES: dict[type, str] = {bool: "INTEGER", int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}
# What SQLite says of a row that does not fit; everything else is an error of the database.
UNFIT = (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.IntegrityError, OverflowError)
R = TypeVar("R")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class SqliteSink:
    """Values are dicts. The connection is used by one call at a time, which may be in any thread."""

    def __init__(self, config: SqlSinkConfig, context: PluginContext) -> None:
        self._config = config
        self._executor = context.executor
        self._connection: sqlite3.Connection | None = None
        self._columns: tuple[str, ...] = ()
        self._insert = ""

    async def open(self) -> None:
        await self._in_thread(self._connect)

    async def write(self, batch: Batch) -> Sequence[Rejected]:
        for index, value in enumerate(batch.values):
            if not isinstance(value, dict):
                return [Rejected(index, f"expected a dict of columns, got {type(value).__name__}")]
        return await self._in_thread(lambda: self._write(batch.values)) if len(batch) else ()

    async def flush(self) -> None:
        await self._in_thread(self._commit)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()  # what was not committed is rolled back
            self._connection = None

    async def _in_thread(self, work: Callable[[], R]) -> R:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except (sqlite3.Error, OSError) as error:
            place = f"database={str(self._config.database)!r}, table={self._config.table!r}"
            raise ConnectorError(f"{place}: {error}") from error

    def _connect(self) -> None:
        Path(self._config.database).parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            self._config.database, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        if self._config.columns:
            self._create_table(self._config.columns)
        self._use_table()

    def _create_table(self, columns: dict[str, str]) -> None:
        parts = [f"{quoted(name)} {kind}".rstrip() for name, kind in columns.items()]
        if self._config.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(quoted, self._config.key))})")
        self._execute(f"CREATE TABLE IF NOT EXISTS {quoted(self._config.table)} ({', '.join(parts)})")

    def _use_table(self) -> None:
        """Prepare the statement for the table's columns, if the table exists yet."""
        table, key = quoted(self._config.table), self._config.key
        self._columns = tuple(row[1] for row in self._execute(f"PRAGMA table_info({table})"))
        if not self._columns:
            return
        names, marks = ", ".join(map(quoted, self._columns)), ", ".join("?" * len(self._columns))
        self._insert = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        if key:
            others = [name for name in self._columns if name not in key]
            updates = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
            action = f"UPDATE SET {updates}" if others else "NOTHING"
            self._insert += f" ON CONFLICT ({', '.join(map(quoted, key))}) DO {action}"
        self._execute(f"EXPLAIN {self._insert}", [None] * len(self._columns))  # says so now if the key is none

    def _write(self, values: list[dict[str, Any]]) -> Sequence[Rejected]:
        if not self._columns:
            missing = [name for name in self._config.key if name not in values[0]]
            if missing:
                raise ConnectorError(f"key={self._config.key!r}: the first record has no field {missing[0]!r}")
            self._create_table(_column_types(values))
            self._use_table()
        refused = self._misfit(values)
        if refused is not None:
            return [refused]
        assert self._connection is not None, "opened before use"
        if not self._connection.in_transaction:
            self._execute("BEGIN IMMEDIATE")
        rows = [[value.get(name) for name in self._columns] for value in values]
        self._execute("SAVEPOINT batch")
        try:
            self._connection.executemany(self._insert, rows)
        except UNFIT as error:
            self._execute("ROLLBACK TO batch")
            index = self._first_unfit(rows)
            return [Rejected(index, f"{error}{_unfit_field(values[index])}")]
        self._execute("RELEASE batch")
        return ()

    def _first_unfit(self, rows: list[list[Any]]) -> int:
        """Which row SQLite refuses: they go in one by one and out again."""
        taken = 0
        try:
            for row in rows:
                self._execute(self._insert, row)
                taken += 1
        except UNFIT:
            self._execute("ROLLBACK TO batch")
        return taken

    def _misfit(self, values: list[dict[str, Any]]) -> Rejected | None:
        known, key, table = set(self._columns), self._config.key, self._config.table
        for index, value in enumerate(values):
            if not value.keys() <= known:
                name = min(map(str, value.keys() - known))
                return Rejected(index, f"table {table} has no column {name!r}; add it to the table or drop the field")
            for name in key:
                if value.get(name) is None:  # SQLite takes several rows with a key of NULL
                    return Rejected(index, f"key column {name!r} has no value")
        return None

    def _commit(self) -> None:
        assert self._connection is not None, "opened before use"
        if self._connection.in_transaction:
            self._execute("COMMIT")

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        assert self._connection is not None, "opened before use"
        return self._connection.execute(statement, values)


def _column_types(values: list[dict[str, Any]]) -> dict[str, str]:
    """Every field of a batch, with the type of its first value that is not None."""
    columns: dict[str, str] = {}
    for value in values:
        for name, item in value.items():
            if not columns.get(name):
                columns[name] = TYPES.get(type(item), "")
    return columns


def _unfit_field(value: dict[str, Any]) -> str:
    for name, item in value.items():
        if item is not None and type(item) not in TYPES:
            return f": field {name} is of type {type(item).__name__}; map it to text or a number"
    return ""
