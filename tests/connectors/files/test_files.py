"""The `files` connector: CSV and JSON Lines, packed or not, from every position."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorError
from mainstem.api.spec import configure
from mainstem.model.errors import ConfigError
from mainstem.testing.conformance.connectors import check_sink, check_source, check_two_phases
from mainstem_connectors.files import mainstem_register_connectors
from mainstem_connectors.files.config import FileSourceConfig
from mainstem_connectors.files.sink import JsonLinesSink
from mainstem_connectors.files.source import FileSource

[SPEC] = mainstem_register_connectors()

CSV = "\n".join(
    [
        "name,age,height,member,note",
        "Ann,41,1.70,true,plain",
        'Bob,,1.85,no,"two',
        'lines, and a ""quote"""',
        "Zoë,7,,,",
        "",
        '"Ye, O.",100,2,YES,x',
        "",
    ]
)
TYPES = {"age": "int", "height": "float", "member": "bool"}
ROWS = [
    {"name": "Ann", "age": 41, "height": 1.7, "member": True, "note": "plain"},
    {"name": "Bob", "age": None, "height": 1.85, "member": False, "note": 'two\nlines, and a "quote"'},
    {"name": "Zoë", "age": 7, "height": None, "member": None, "note": None},
    {"name": "Ye, O.", "age": 100, "height": 2.0, "member": True, "note": "x"},
]


def write(path: Path, text: str) -> str:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def source(context: Any, **options: Any) -> FileSource:
    return FileSource(configure(FileSourceConfig, options, owner="connector files"), context)


async def read_all(one: FileSource, limit: int = 1000) -> list[Any]:
    await one.open()
    values = []
    for split in await one.splits():
        read = await one.read(split.name, None, max_records=limit, max_wait_ms=0)
        values += read.batch.values
        while not read.at_end:
            read = await one.read(split.name, read.next_position, max_records=limit, max_wait_ms=0)
            values += read.batch.values
    await one.close()
    return values


@pytest.mark.parametrize("name", ["people.csv", "people.csv.gz"])
async def test_contract_of_a_csv_source(context, tmp_path, name):
    path = write(tmp_path / name, CSV)
    await check_source(SPEC, context, {path: ROWS}, path=path, columns=TYPES)


@pytest.mark.parametrize("name", ["people.jsonl", "people.ndjson.gz"])
async def test_contract_of_a_json_lines_source(context, tmp_path, name):
    values = [*ROWS, "text", 5, None, [1, 2]]
    path = write(tmp_path / name, "\n\n".join(json.dumps(value) for value in values))
    await check_source(SPEC, context, {path: values}, path=path)


async def test_contract_with_several_files(context, tmp_path):
    expected = {}
    for month, days in (("2013-01", 3), ("2013-02", 0), ("2013-03", 1)):
        rows = [{"day": f"{month}-{day}"} for day in range(days)]
        path = write(tmp_path / f"{month}.csv", "day\n" + "".join(f"{row['day']}\n" for row in rows))
        expected[path] = rows
    await check_source(SPEC, context, expected, path=str(tmp_path / "*.csv"))


async def test_contract_of_an_empty_file(context, tmp_path):
    path = write(tmp_path / "empty.csv", "")
    await check_source(SPEC, context, {path: []}, path=path)


text = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)


@given(st.lists(st.tuples(text, text), max_size=20), st.integers(1, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_the_csv_module_writes_is_read(context, tmp_path, rows, limit):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b"])
    writer.writerows(rows)
    path = write(tmp_path / "x.csv", buffer.getvalue())
    got = asyncio.run(read_all(source(context, path=path, null=[]), limit))
    assert [(row["a"], row["b"]) for row in got] == rows


async def test_a_file_that_grew_is_read_on(context, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("1\n2\n")
    one = source(context, path=path)
    await one.open()
    first = await one.read(str(path), None, max_records=10, max_wait_ms=0)
    with path.open("a") as file:
        file.write("3\n")
    second = await one.read(str(path), first.next_position, max_records=10, max_wait_ms=0)
    await one.close()
    assert (first.batch.values, second.batch.values) == ([1, 2], [3])
    assert list(second.offsets) == [3]


async def test_a_file_that_shrank_is_named(context, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("1\n2\n")
    one = source(context, path=path)
    await one.open()
    with pytest.raises(ConnectorError, match=r"log.jsonl: it is shorter than the 100 bytes that were read of it"):
        await one.read(str(path), {"byte": 100, "row": 9}, max_records=10, max_wait_ms=0)
    await one.close()


async def test_names_can_stand_in_for_a_header(context, tmp_path):
    path = write(tmp_path / "x.csv", "1;2\n3;4\n")
    got = await read_all(source(context, path=path, names=["a", "b"], delimiter=";", columns={"b": "int"}))
    assert got == [{"a": "1", "b": 2}, {"a": "3", "b": 4}]


async def test_what_stands_for_no_value_can_be_said(context, tmp_path):
    path = write(tmp_path / "x.csv", "a,b\nNA,\n-,1\n")
    got = await read_all(source(context, path=path, null=["NA", "-"], columns={"b": "str"}))
    assert got == [{"a": None, "b": ""}, {"a": None, "b": "1"}]


async def test_other_encodings_and_a_byte_order_mark(context, tmp_path):
    (tmp_path / "x.csv").write_bytes("a\nü\n".encode("latin-1"))
    assert await read_all(source(context, path=tmp_path / "x.csv", encoding="latin-1")) == [{"a": "ü"}]
    (tmp_path / "y.csv").write_bytes("\ufeffa\nü\n".encode())
    assert await read_all(source(context, path=tmp_path / "y.csv")) == [{"a": "ü"}]


async def test_rows_are_counted_for_progress_bars(context, tmp_path):
    for name in ("x.csv", "y.csv.gz"):
        path = write(tmp_path / name, "a\n" + "1\n" * 500)
        one = source(context, path=path)
        await one.open()
        [split] = await one.splits()
        await one.close()
        assert split.records_total == 500


@pytest.mark.parametrize(
    ("name", "content", "options", "problem"),
    [
        ("x.csv", "a,b\n1\n", {}, "x.csv: row 1 has 1 fields, the header has 2"),
        ("x.csv", "a,b\n1,2\n1,2,3\n", {}, "x.csv: row 2 has 3 fields, the header has 2"),
        ("x.csv", "a\n1\nx\n", {"columns": {"a": "int"}}, "x.csv: row 2, column a: 'x' is no int; if it stands for no"),
        ("x.csv", "a\nmaybe\n", {"columns": {"a": "bool"}}, "row 1, column a: 'maybe' is no bool"),
        ("x.csv", 'a\n"never closed\n', {}, "x.csv: after row 0: unexpected end of data"),
        ("x.jsonl", "1\n{\n", {}, "x.jsonl: row 2 is no JSON"),
        ("x.csv", "a\n1\n", {"encoding": "klingon"}, "encoding='klingon' is no text encoding"),
    ],
)
async def test_what_cannot_be_read_is_named_with_file_row_and_column(
    context, tmp_path, name, content, options, problem
):
    one = source(context, path=write(tmp_path / name, content), **options)
    await one.open()
    with pytest.raises(ConnectorError, match=problem):
        await one.read(str(tmp_path / name), None, max_records=100, max_wait_ms=0)
    await one.close()


async def test_bytes_that_are_no_text_are_named(context, tmp_path):
    (tmp_path / "x.csv").write_bytes(b"a\n1\n\xff\n")
    one = source(context, path=tmp_path / "x.csv")
    await one.open()
    with pytest.raises(ConnectorError, match=r"x.csv: after row 0: 'utf-8' codec can't decode byte 0xff"):
        await one.read(str(tmp_path / "x.csv"), None, max_records=100, max_wait_ms=0)
    await one.close()


async def test_a_packed_file_that_is_cut_off_is_named(context, tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"1\n" * 1000)[:-12])
    one = source(context, path=path)
    await one.open()
    assert [split.records_total for split in await one.splits()] == [None]
    with pytest.raises(ConnectorError, match=r"x.csv.gz cannot be read: Compressed file ended"):
        await one.read(str(path), None, max_records=10_000, max_wait_ms=0)
    await one.close()


@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing.csv", "there is no such file"), ("x.parquet", "the format is not known by the name")],
)
async def test_a_path_that_cannot_be_used_is_named_at_the_start(context, tmp_path, name, problem):
    (tmp_path / "x.parquet").write_text("a")
    with pytest.raises(ConnectorError, match=problem):
        await source(context, path=tmp_path / name).open()


@pytest.mark.parametrize(
    ("options", "key"),
    [({}, "path"), ({"path": "x", "format": "xml"}, "format"), ({"path": "x", "columns": {"a": "date"}}, "columns")],
)
def test_settings_that_cannot_be_used_are_named(options, key):
    with pytest.raises(ConfigError) as refusal:
        configure(FileSourceConfig, options, owner="connector files")
    assert refusal.value.key == key


# ---------------------------------------------------------------------------------------------------------------- sink


async def test_contract_of_the_json_lines_sink(context, tmp_path):
    path = tmp_path / "new" / "out.jsonl"

    def read_back() -> list[Any]:
        return [json.loads(line) for line in path.read_text().splitlines()]

    await check_sink(
        SPEC, context, [{"a": 1}, [2], "three", None], read_back, unfit=[b"bytes", {1, 2}, object()], path=path
    )


def in_parts(folder: Path) -> list[Any]:
    parts = sorted(folder.glob("part-*.jsonl"), key=lambda part: part.stat().st_mtime_ns)
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


async def test_the_contract_of_sinks_as_parts(context, tmp_path):
    folder = tmp_path / "new" / "out"
    values = [{"a": 1}, [2], "three", None]
    await check_sink(SPEC, context, values, lambda: in_parts(folder), unfit=[{1, 2}], path=folder, parts=True)


async def test_the_contract_of_two_phases(context, tmp_path):
    folder = tmp_path / "out"
    await check_two_phases(SPEC, context, ["a", "b", "c", "d"], lambda: in_parts(folder), path=folder, parts=True)
    assert [one for one in folder.iterdir() if one.name.startswith(".")] == []


async def test_parts_say_what_is_wrong(context, tmp_path):
    (tmp_path / "file").write_text("")
    sink = SPEC.open_sink(SPEC.sink_config(path=tmp_path / "file", parts=True), context)
    with pytest.raises(ConnectorError, match=r"is a file; parts=True needs a folder"):
        await sink.open()
    sink = SPEC.open_sink(SPEC.sink_config(path=tmp_path / "out", parts=True), context)
    await sink.open()
    with pytest.raises(ConnectorError, match=r"'\.\./file' is no part of"):
        await sink.commit("../file")
    await sink.commit("part-that-somebody-took-away.jsonl")


async def test_a_line_that_a_crash_cut_off_is_removed(context, tmp_path):
    for before, after in (
        ('{"a":1}\n{"a":', '{"a":1}\n'),
        ("x" * 200_000, ""),
        ("1\n" + "x" * 200_000, "1\n"),
        ("1\n", "1\n"),
    ):
        path = tmp_path / "out.jsonl"
        path.write_text(before)
        sink = JsonLinesSink(SPEC.sink_config(path=path), context)
        await sink.open()
        await sink.write(Batch(keys=[None], values=[2], timestamps=[0]))
        await sink.flush()
        await sink.close()
        assert path.read_text() == after + "2\n"


async def test_a_packed_sink_and_a_directory_are_refused(context, tmp_path):
    for path, problem in ((tmp_path / "x.jsonl.gz", "drop the .gz"), (tmp_path, "cannot be written: Is a directory")):
        with pytest.raises(ConnectorError, match=problem):
            await JsonLinesSink(SPEC.sink_config(path=path), context).open()
