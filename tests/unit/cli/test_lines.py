from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.cli.lines import LineError, LineFormat, LineReader, Record, RecordFormat
from mainstem.client.consumer import Consumed
from mainstem.model.errors import ConfigError


def read(line: str, **properties: str) -> Record:
    line_format = LineFormat.read({name.replace("_", "."): text for name, text in properties.items()})
    return LineReader(line_format).record(line)


def printed(record: Consumed, **properties: str) -> bytes:
    return RecordFormat.read({name.replace("_", "."): text for name, text in properties.items()}).printer()(record)


RECORD = Consumed(
    topic="t",
    partition=3,
    offset=42,
    leader_epoch=7,
    timestamp_type="CreateTime",
    timestamp_ms=1700000000000,
    key=b"k",
    value=b"v",
    headers=[("h", b"1"), ("g", None)],
)


@pytest.mark.parametrize(
    ("line", "properties", "record"),
    [
        ("value", {}, Record(None, b"value", ())),
        ("", {}, Record(None, b"", ())),
        ("a\tb", {}, Record(None, b"a\tb", ())),
        ("k\tv", {"parse_key": "true"}, Record(b"k", b"v", ())),
        ("k:v:w", {"parse_key": " TRUE ", "key_separator": ":"}, Record(b"k", b"v:w", ())),
        ("\tv", {"parse_key": "true"}, Record(b"", b"v", ())),
        ("h:1,g:2\tv", {"parse_headers": "true"}, Record(None, b"v", [("h", b"1"), ("g", b"2")])),
        ("h:1\tk\tv", {"parse_headers": "true", "parse_key": "true"}, Record(b"k", b"v", [("h", b"1")])),
        ("h:a:b\tv", {"parse_headers": "true"}, Record(None, b"v", [("h", b"a:b")])),
        ("N", {"null_marker": "N"}, Record(None, None, ())),
        ("N\tN", {"null_marker": "N", "parse_key": "true"}, Record(None, None, ())),
        ("N\tv", {"null_marker": "N", "parse_headers": "true"}, Record(None, b"v", ())),
        ("h:N\tv", {"null_marker": "N", "parse_headers": "true"}, Record(None, b"v", [("h", None)])),
        ("no key", {"parse_key": "true", "ignore_error": "true"}, Record(None, b"no key", ())),
        ("h\tv", {"parse_headers": "true", "ignore_error": "true"}, Record(None, b"v", [("h", None)])),
        ("schlüssel\twärt", {"parse_key": "true"}, Record("schlüssel".encode(), "wärt".encode(), ())),
        ("\udcff", {}, Record(None, b"\xff", ())),
    ],
)
def test_lines_become_records(line: str, properties: dict[str, str], record: Record) -> None:
    assert read(line, **properties) == record


@pytest.mark.parametrize(
    ("line", "properties", "problem"),
    [
        ("k3", {"parse_key": "true", "key_separator": ":"}, "No key separator found on line number 1: 'k3'"),
        ("v", {"parse_headers": "true"}, "No headers delimiter found on line number 1: 'v'"),
        ("h\tv", {"parse_headers": "true"}, "No header key separator found in pair 'h' on line number 1"),
        ("N:1\tv", {"parse_headers": "true", "null_marker": "N"}, "Header keys should not be equal to the null marker"),
    ],
)
def test_lines_without_the_announced_parts_are_refused(line: str, properties: dict[str, str], problem: str) -> None:
    """Sentences as Apache Kafka 4.1 prints them."""
    with pytest.raises(LineError) as caught:
        read(line, **properties)
    assert problem in str(caught.value)


def test_the_message_counts_lines() -> None:
    reader = LineReader(LineFormat.read({"parse.key": "true"}))
    reader.record("a\tb")
    with pytest.raises(LineError, match="line number 2"):
        reader.record("c")


@pytest.mark.parametrize(
    "properties",
    [
        {"headers.separator": ":"},
        {"headers.separator": "\t"},
        {"headers.delimiter": ":"},
        {"null.marker": "\t"},
        {"null.marker": ","},
        {"null.marker": ":"},
    ],
)
def test_separators_that_cannot_be_told_apart_are_refused(properties: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="it must differ from"):
        LineFormat.read(properties)


@pytest.mark.parametrize("kind", [LineFormat, RecordFormat])
def test_an_unknown_property_is_refused_with_the_near_one(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"no such property; did you mean key\.separator\?"):
        kind.read({"key.seperator": ":"})


@pytest.mark.parametrize(
    ("properties", "line"),
    [
        ({}, b"v\n"),
        ({"print_key": "true"}, b"k\tv\n"),
        ({"print_key": "true", "print_value": "false"}, b"k\n"),
        ({"print_value": "false"}, b""),
        ({"print_key": "true", "key_separator": "=", "line_separator": ";"}, b"k=v;"),
        (
            dict.fromkeys(("print_timestamp", "print_partition", "print_offset", "print_headers", "print_key"), "true"),
            b"CreateTime:1700000000000\tPartition:3\tOffset:42\th:1,g:null\tk\tv\n",
        ),
        ({"print_epoch": "true"}, b"Epoch:7\tv\n"),
        ({"print_headers": "true", "headers_separator": " ", "null_literal": "-"}, b"h:1 g:-\tv\n"),
    ],
)
def test_records_become_lines(properties: dict[str, str], line: bytes) -> None:
    assert printed(RECORD, **properties) == line


def test_what_a_record_does_not_have_is_said() -> None:
    bare = RECORD._replace(timestamp_type=None, leader_epoch=None, key=None, value=None, headers=())
    line = printed(bare, print_timestamp="true", print_epoch="true", print_headers="true", print_key="true")
    assert line == b"NO_TIMESTAMP\tEpoch:NOT_PRESENT\tNO_HEADERS\tnull\tnull\n"


def test_values_pass_through_the_named_deserializer() -> None:
    record = RECORD._replace(key=(5).to_bytes(8, "big"), value=b"\x00\x00\x00\x01")
    name = "org.apache.kafka.common.serialization.LongDeserializer"
    assert (
        printed(record, print_key="true", key_deserializer=name, value_deserializer="IntegerDeserializer") == b"5\t1\n"
    )


@given(st.binary(), st.binary())
def test_any_bytes_without_separators_come_back(key: bytes, value: bytes) -> None:
    key, value = key.replace(b"\t", b"").replace(b"\n", b""), value.replace(b"\n", b"")
    record = RECORD._replace(key=key, value=value)
    line = printed(record, print_key="true").removesuffix(b"\n").decode("utf-8", "surrogateescape")
    assert read(line, parse_key="true") == Record(key, value, ())


def test_settings_of_deserializers_are_passed_over() -> None:
    assert RecordFormat.read({"key.deserializer.encoding": "UTF-16", "print.key": "true"}) == RecordFormat(
        print_key=True
    )
