"""Settings of the `sql` connector."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mainstem.api.spec import PluginConfig


class SqlSinkConfig(PluginConfig, frozen=True, kw_only=True):
    """`database` is a SQLite file, created if it does not exist, with its directory.

    The table is created if it does not exist: with `columns` (name to SQL type) or those of the first batch. `key`
    names the columns of its primary key; a record whose key is there already replaces that row.
    """

    database: Path
    table: str
    key: tuple[str, ...] = ()
    columns: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in self.key if self.columns and name not in self.columns]
        if missing:
            raise ValueError(f"key column {missing[0]} is not in columns")
        if not self.table:
            raise ValueError("the table needs a name")
