"""Where results go: Kafka's own text, or JSON for `--json`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import msgspec


def print_json(value: object) -> None:
    """One document, structs as objects, keys in snake case."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    print(text)


def print_error(message: str) -> None:
    print(message, file=sys.stderr)


def closed_pipe() -> int:
    """Whoever read our output has seen enough (`| head`). Python would complain once more when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def row(cells: Sequence[object], widths: Sequence[int]) -> str:
    """Cells flush left in columns of at least these widths, a blank between them; the last may have width 0."""
    return " ".join(f"{cell!s:<{width}}" for cell, width in zip(cells, widths, strict=True))


def width_of(cells: Sequence[str], least: int) -> int:
    return max([least, *(len(cell) for cell in cells)])


def tabbed_table(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """As Kafka's `ToolsUtils.prettyPrintTable`: columns as wide as what is in them, a tab after each."""
    cells = [list(header), *([str(cell) for cell in line] for line in lines)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(header))]
    return "\n".join("".join(f"{cell:<{width}}\t" for cell, width in zip(line, widths, strict=True)) for line in cells)
