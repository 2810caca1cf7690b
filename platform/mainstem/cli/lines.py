"""A line of text as a record and back: what `--property` of the console tools means in Kafka."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from mainstem.cli.deserializers import Deserialize, deserializer
from mainstem.client.consumer import Consumed
from mainstem.model.configs.nearest import suggestion
from mainstem.model.errors import ConfigError, MainstemError

Header = tuple[str, bytes | None]


class LineError(MainstemError):
    """A line that does not have the announced form. The text says which, and what is missing."""


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFormat:
    """Source: Kafka's `LineMessageReader`. Fields are its properties with underscores for dots."""

    parse_key: bool = False
    parse_headers: bool = False
    ignore_error: bool = False
    key_separator: str = "\t"
    headers_delimiter: str = "\t"
    headers_separator: str = ","
    headers_key_separator: str = ":"
    null_marker: str | None = None

    @classmethod
    def read(cls, properties: Mapping[str, str]) -> LineFormat:
        """Raises: ConfigError for an unknown property, or separators that cannot be told apart."""
        line_format = cls(**_typed(cls, properties))  # type: ignore[arg-type]  # each field gets its own type
        _check_distinct(line_format)
        return line_format


def _typed(kind: type[LineFormat] | type[RecordFormat], properties: Mapping[str, str]) -> dict[str, object]:
    known = {field.name.replace("_", "."): field for field in fields(kind)}
    values: dict[str, object] = {}
    for name, text in properties.items():
        field = known.get(name)
        if field is None:
            raise ConfigError(name, text, f"this tool has no such property{suggestion(name, known)}")
        values[field.name] = text.strip().lower() == "true" if isinstance(field.default, bool) else text
    return values


def _check_distinct(line_format: LineFormat) -> None:
    """Raises: ConfigError."""
    pairs = (
        ("headers.delimiter", "headers.separator"),
        ("headers.delimiter", "headers.key.separator"),
        ("headers.separator", "headers.key.separator"),
        ("null.marker", "key.separator"),
        ("null.marker", "headers.separator"),
        ("null.marker", "headers.delimiter"),
        ("null.marker", "headers.key.separator"),
    )
    for one, other in pairs:
        value = getattr(line_format, one.replace(".", "_"))
        if value is not None and value == getattr(line_format, other.replace(".", "_")):
            raise ConfigError(one, value, f"it must differ from {other}")


class LineReader:
    """Reads the lines of one input, counting them for messages."""

    def __init__(self, line_format: LineFormat) -> None:
        self._format = line_format
        self._number = 0

    def record(self, line: str) -> Record:
        """`h1:v1,h2:v2<TAB>key<TAB>value`, the first two parts only where they are announced.

        Raises: LineError.
        """
        self._number += 1
        line_format, rest = self._format, line
        headers, key = None, None
        if line_format.parse_headers:
            headers, rest = self._split(rest, line_format.headers_delimiter, "headers delimiter", line)
        if line_format.parse_key:
            key, rest = self._split(rest, line_format.key_separator, "key separator", line)
        found = self._headers(headers) if headers is not None and headers != line_format.null_marker else ()
        return Record(self._bytes(key), self._bytes(rest), found)

    def _split(self, text: str, separator: str, what: str, line: str) -> tuple[str | None, str]:
        before, found, after = text.partition(separator)
        if found:
            return before, after
        if self._format.ignore_error:
            return None, text
        raise LineError(f"No {what} found on line number {self._number}: '{line}'")

    def _headers(self, text: str) -> list[Header]:
        return [self._header(pair) for pair in text.split(self._format.headers_separator)]

    def _header(self, pair: str) -> Header:
        key, found, value = pair.partition(self._format.headers_key_separator)
        if not found:
            if self._format.ignore_error:
                return pair, None
            raise LineError(f"No header key separator found in pair '{pair}' on line number {self._number}")
        if key == self._format.null_marker:
            raise LineError(f"Header keys should not be equal to the null marker '{key}' as they can't be null")
        return key, self._bytes(value)

    def _bytes(self, text: str | None) -> bytes | None:
        if text is None or text == self._format.null_marker:
            return None
        return text.encode("utf-8", "surrogateescape")


_OF_DESERIALIZERS = ("key.deserializer.", "value.deserializer.", "headers.deserializer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFormat:
    """Source: Kafka's `DefaultMessageFormatter`. Fields are its properties with underscores for dots."""

    print_timestamp: bool = False
    print_partition: bool = False
    print_offset: bool = False
    print_epoch: bool = False
    print_headers: bool = False
    print_key: bool = False
    print_value: bool = True
    key_separator: str = "\t"
    line_separator: str = "\n"
    headers_separator: str = ","
    null_literal: str = "null"
    key_deserializer: str = ""
    value_deserializer: str = ""
    headers_deserializer: str = ""

    @classmethod
    def read(cls, properties: Mapping[str, str]) -> RecordFormat:
        """What is meant for a deserializer itself is left out: Kafka's own have no settings.

        Raises: ConfigError for an unknown property.
        """
        own = {name: value for name, value in properties.items() if not name.startswith(_OF_DESERIALIZERS)}
        return cls(**_typed(cls, own))  # type: ignore[arg-type]  # each field gets its own type

    def printer(self) -> Callable[[Consumed], bytes]:
        """A function that makes a record's line. Raises: ConfigError for an unknown deserializer."""
        return _Printer(self).line


class _Printer:
    """A format with its deserializers looked up."""

    def __init__(self, record_format: RecordFormat) -> None:
        self._format = record_format
        self._key = deserializer("key.deserializer", record_format.key_deserializer)
        self._value = deserializer("value.deserializer", record_format.value_deserializer)
        self._header = deserializer("headers.deserializer", record_format.headers_deserializer)

    def line(self, record: Consumed) -> bytes:
        """The columns that are asked for and the end of the line; nothing at all if no column is."""
        wanted, columns = self._format, []
        if wanted.print_timestamp:
            kind = record.timestamp_type
            columns.append(f"{kind}:{record.timestamp_ms}".encode() if kind else b"NO_TIMESTAMP")
        if wanted.print_partition:
            columns.append(b"Partition:%d" % record.partition)
        if wanted.print_offset:
            columns.append(b"Offset:%d" % record.offset)
        if wanted.print_epoch:
            epoch = record.leader_epoch
            columns.append(b"Epoch:%d" % epoch if epoch is not None else b"Epoch:NOT_PRESENT")
        if wanted.print_headers:
            columns.append(self._headers(record))
        if wanted.print_key:
            columns.append(self._literal(record.key, self._key))
        if wanted.print_value:
            columns.append(self._literal(record.value, self._value))
        if not columns:
            return b""
        return wanted.key_separator.encode().join(columns) + wanted.line_separator.encode()

    def _headers(self, record: Consumed) -> bytes:
        if not record.headers:
            return b"NO_HEADERS"
        pairs = [key.encode() + b":" + self._literal(value, self._header) for key, value in record.headers]
        return self._format.headers_separator.encode().join(pairs)

    def _literal(self, value: bytes | None, deserialize: Deserialize) -> bytes:
        return self._format.null_literal.encode() if value is None else deserialize(value)
