"""Rows out of lines of text. Pure: bytes in, values out, with the place of what cannot be read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import orjson

from mainstem.api.connector import ConnectorError
from mainstem_connectors.files.config import FileSourceConfig

BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def boolean(text: str) -> bool:
    try:
        return BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


CONVERTERS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": boolean}


class CountedLines:
    """Lines of a binary file and how many bytes of it they took."""

    def __init__(self, lines: Iterable[bytes], start: int) -> None:
        self._lines = iter(lines)
        self.position = start

    def raw(self) -> Iterator[bytes]:
        for line in self._lines:
            self.position += len(line)
            yield line

    def text(self, encoding: str) -> Iterator[str]:
        for line in self.raw():
            yield line.decode(encoding)


def csv_names(lines: CountedLines, config: FileSourceConfig) -> list[str]:
    """The header line, which is read from `lines`; empty if there is none."""
    names = next(csv.reader(lines.text(config.encoding), delimiter=config.delimiter, strict=True), [])
    return [names[0].removeprefix("\ufeff"), *names[1:]] if names else []


def csv_rows(
    lines: CountedLines, names: Sequence[str], config: FileSourceConfig, row: int, limit: int
) -> list[dict[str, Any]]:
    """Up to `limit` rows; `row` is how many came before. Raises: ConnectorError naming row and column."""
    reader = csv.reader(lines.text(config.encoding), delimiter=config.delimiter, strict=True)
    try:
        # A blank line between rows is none; csv gives it as an empty row.
        rows = list(islice((fields for fields in reader if fields), limit))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConnectorError(f"after row {row}: {error}") from None
    for place, fields in enumerate(rows):
        if len(fields) != len(names):
            raise ConnectorError(f"row {row + place + 1} has {len(fields)} fields, the header has {len(names)}")
    columns = [_column(name, texts, config, row) for name, texts in zip(names, zip(*rows, strict=True), strict=False)]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _column(name: str, texts: Sequence[str], config: FileSourceConfig, row: int) -> Sequence[Any]:
    nulls = frozenset(config.null)
    convert = CONVERTERS.get(config.columns.get(name, "str"))
    if convert is None:
        return [None if text in nulls else text for text in texts] if nulls.intersection(texts) else texts
    values: list[Any] = []
    try:
        values.extend(None if text in nulls else convert(text) for text in texts)
    except ValueError:
        place, kind = row + len(values) + 1, config.columns[name]
        text = texts[len(values)]
        raise ConnectorError(
            f"row {place}, column {name}: {text!r} is no {kind}; if it stands for no value, add it to null="
        ) from None
    return values


def json_rows(lines: CountedLines, row: int, limit: int) -> list[Any]:
    """Up to `limit` lines that are not blank. Raises: ConnectorError naming the row."""
    rows: list[Any] = []
    try:
        rows.extend(orjson.loads(line) for line in islice(filter(bytes.strip, lines.raw()), limit))
    except orjson.JSONDecodeError as error:
        raise ConnectorError(f"row {row + len(rows) + 1} is no JSON: {error}") from None
    return rows
