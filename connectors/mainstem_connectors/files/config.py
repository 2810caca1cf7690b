"""Settings of the `files` connector."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from mainstem.api.spec import PluginConfig

Type = Literal["int", "float", "bool", "str"]


class FileSourceConfig(PluginConfig, frozen=True, kw_only=True):
    """`path` may hold wildcards (`data/*.csv.gz`); every file is a split. `format` is known by the name's ending.

    CSV: `columns` gives columns a type (all others stay text), `null` is what stands for no value, `names` names the
    columns of files without a header line.
    """

    path: str
    format: Literal["csv", "jsonl"] | None = None
    columns: dict[str, Type] = msgspec.field(default_factory=dict)
    null: tuple[str, ...] = ("",)
    delimiter: str = ","
    names: tuple[str, ...] = ()
    encoding: str = "utf-8"


class FileSinkConfig(PluginConfig, frozen=True, kw_only=True):
    """`path` is one file of JSON Lines; it and its directory are created, and records are appended. With `parts` it is a
    folder, in which each checkpoint's lines appear as a file of their own."""

    path: Path
    parts: bool = False
