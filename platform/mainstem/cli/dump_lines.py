"""What `mainstem dump-log` prints: lines as Kafka's tool has them, the facts in them for `--json`, and what is wrong at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mainstem.model.errors import MainstemError


class DumpError(MainstemError):
    """A file that cannot be read, or is not what its name says."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class Line(NamedTuple):
    text: str
    facts: dict[str, object]


class Findings:
    """Contradictions between files, gathered while they are printed."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, list[str]]] = {}

    def add(self, title: str, file: str, detail: str) -> None:
        """`title` with `{}` for the file."""
        self._found.setdefault(title, {}).setdefault(file, []).append(detail)

    def lines(self) -> Iterator[str]:
        for title, files in self._found.items():
            for file, details in files.items():
                yield title.format(file)
                yield from (f"  {detail}" for detail in details)
