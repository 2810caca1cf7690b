"""The `sql` connector on SQLite: tables from records, upserts by key, one transaction from flush to flush."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorError
from mainstem.api.spec import configure
from mainstem.model.errors import ConfigError
from mainstem.testing.conformance.connectors import check_sink
from mainstem_connectors.sql import mainstem_register_connectors
from mainstem_connectors.sql.config import SqlSinkConfig
from mainstem_connectors.sql.sink import SqliteSink

[SPEC] = mainstem_register_connectors()


def batch(*values: Any) -> Batch:
    return Batch(keys=[None] * len(values), values=list(values), timestamps=[0] * len(values))


def select(database: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement)]


async def opened(context: Any, database: Path, **options: Any) -> SqliteSink:
    config = configure(SqlSinkConfig, {"database": database, "table": "t", **options}, owner="connector sql")
    sink = SqliteSink(config, context)
    await sink.open()
    return sink


VALUES = [
    {"id": 1, "name": "a", "price": 0.5, "ok": True, "raw": b"\x00"},
    {"id": 2, "name": None, "price": 2.0, "ok": False, "raw": None},
    {"id": 3, "name": "c", "price": None, "ok": None, "raw": b""},
]


@pytest.mark.parametrize("key", [(), ("id",), ("id", "name")], ids=["appending", "upserting", "two keys"])
async def test_contract(context, tmp_path, key):
    database = tmp_path / "new" / "x.db"

    def read_back() -> list[Any]:
        exists = select(database, "SELECT name FROM sqlite_master WHERE name = 't'")
        return select(database, "SELECT * FROM t ORDER BY rowid") if exists else []

    values = [{**value, "name": value["name"] or "b"} for value in VALUES]
    unfit: list[Any] = ["text", None, {"id": 1, "name": [1]}, {"id": 2**70, "name": "x"}, {"id": 1, "colour": "red"}]
    if key:
        unfit.append({"id": None, "name": "x"})
    await check_sink(SPEC, context, values, read_back, unfit=unfit, database=database, table="t", key=key)


def test_only_a_key_makes_it_idempotent():
    assert SPEC.is_idempotent(SqlSinkConfig(database=Path("x"), table="t", key=("id",)))
    assert not SPEC.is_idempotent(SqlSinkConfig(database=Path("x"), table="t"))


async def test_a_record_replaces_the_row_of_its_key(context, tmp_path):
    sink = await opened(context, tmp_path / "x.db", key=["id"])
    await sink.write(batch({"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 1, "n": 3}))
    await sink.write(batch({"id": 2, "n": 4}))
    await sink.flush()
    await sink.close()
    assert select(tmp_path / "x.db", "SELECT * FROM t ORDER BY id") == [{"id": 1, "n": 3}, {"id": 2, "n": 4}]


async def test_a_table_that_is_all_key_keeps_one_of_each(context, tmp_path):
    sink = await opened(context, tmp_path / "x.db", key=["id"], columns={"id": "INTEGER"})
    await sink.write(batch({"id": 1}, {"id": 1}))
    await sink.flush()
    await sink.close()
    assert select(tmp_path / "x.db", "SELECT * FROM t") == [{"id": 1}]


async def test_columns_get_the_type_of_their_first_value(context, tmp_path):
    sink = await opened(context, tmp_path / "x.db")
    await sink.write(batch({"a": None, "b": 1, "c": None}, {"a": "x", "b": 2, "d": 0.5}))
    await sink.flush()
    await sink.close()
    types = select(tmp_path / "x.db", "SELECT name, type FROM pragma_table_info('t')")
    assert {row["name"]: row["type"] for row in types} == {"a": "TEXT", "b": "INTEGER", "c": "", "d": "REAL"}


async def test_a_given_schema_is_used_and_missing_fields_are_null(context, tmp_path):
    sink = await opened(context, tmp_path / "x.db", columns={"id": "INTEGER NOT NULL", "note": "TEXT"}, key=["id"])
    await sink.write(batch({"id": 1}))
    await sink.flush()
    await sink.close()
    assert select(tmp_path / "x.db", "SELECT * FROM t") == [{"id": 1, "note": None}]


async def test_an_existing_table_is_used_as_it_is(context, tmp_path):
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n REAL)")
        connection.execute("INSERT INTO t VALUES (1, 1.0)")
        connection.commit()
    sink = await opened(context, tmp_path / "x.db", key=["id"])
    await sink.write(batch({"id": 1, "n": 2}))
    await sink.flush()
    await sink.close()
    assert select(tmp_path / "x.db", "SELECT * FROM t") == [{"id": 1, "n": 2.0}]


async def test_names_with_quotes_and_spaces_are_only_names(context, tmp_path):
    table, column = 'a "table"; DROP TABLE t', 'col"umn'
    sink = await opened(context, tmp_path / "x.db", table=table, key=[column])
    await sink.write(batch({column: 1, "select": 2}))
    await sink.flush()
    await sink.close()
    assert select(tmp_path / "x.db", 'SELECT * FROM "a ""table""; DROP TABLE t"') == [{column: 1, "select": 2}]


async def test_what_was_not_flushed_is_rolled_back(context, tmp_path):
    sink = await opened(context, tmp_path / "x.db", columns={"id": "INTEGER"})
    await sink.write(batch({"id": 1}))
    await sink.flush()
    await sink.write(batch({"id": 2}))
    await sink.close()
    assert select(tmp_path / "x.db", "SELECT id FROM t") == [{"id": 1}]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([{"id": 1, "n": {"a": 1}}], "field n is of type dict; map it to text or a number"),
        ([{"id": 1, "colour": 1}], "table t has no column 'colour'; add it to the table or drop the field"),
        ([{"n": 1}], "key column 'id' has no value"),
        ([{"id": 1}, ["list"]], "expected a dict of columns, got list"),
    ],
)
async def test_what_a_row_cannot_be_is_said(context, tmp_path, values, problem):
    sink = await opened(context, tmp_path / "x.db", columns={"id": "INTEGER", "n": "INTEGER"}, key=["id"])
    [rejected] = await sink.write(batch(*values))
    await sink.close()
    assert problem in rejected.reason


async def test_a_key_that_the_table_does_not_have_is_said_at_the_start(context, tmp_path):
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, n REAL)")
    with pytest.raises(ConnectorError, match="table='t': ON CONFLICT clause does not match any PRIMARY KEY"):
        await opened(context, tmp_path / "x.db", key=["id"])


async def test_a_key_that_the_first_record_does_not_have_is_said(context, tmp_path):
    sink = await opened(context, tmp_path / "x.db", key=["id"])
    with pytest.raises(ConnectorError, match="the first record has no field 'id'"):
        await sink.write(batch({"n": 1}))
    await sink.close()


async def test_a_file_that_is_no_database_is_named(context, tmp_path):
    (tmp_path / "x.db").write_text("this is no database, but it is long enough to look like a header of one " * 20)
    with pytest.raises(ConnectorError, match=r"x.db', table='t': file is not a database"):
        await opened(context, tmp_path / "x.db")


def test_a_key_outside_of_the_columns_is_refused():
    with pytest.raises(ConfigError, match="key column id is not in columns"):
        configure(SqlSinkConfig, {"database": "x", "table": "t", "columns": {"a": "TEXT"}, "key": ["id"]}, owner="sql")
