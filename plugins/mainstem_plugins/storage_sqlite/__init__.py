"""Storage `sqlite`: a whole broker in one file that a person can open with the sqlite3 shell; metadata included."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.files import FileSystem
from mainstem.api.hookspecs import hookimpl
from mainstem.api.spec import PluginConfig
from mainstem.api.storage import LogStore, StorageBackend


class SqliteConfig(PluginConfig, frozen=True, kw_only=True):
    """`file_name`: in every log directory.
    `staging_bytes_max`: what may wait for a commit, beside one that is running, before appends wait as well; with flush policy
    `none` a kill may lose as much.
    `cache_bytes_max`: newest committed batches that are served without SQLite.
    `busy_timeout_ms`: how long a commit waits for another program that is writing to the file.
    """

    file_name: Annotated[str, msgspec.Meta(pattern=r"^[^/\\]+$")] = "mainstem.sqlite3"
    staging_bytes_max: Annotated[int, msgspec.Meta(ge=1)] = 16 << 20
    cache_bytes_max: Annotated[int, msgspec.Meta(ge=0)] = 16 << 20
    busy_timeout_ms: Annotated[int, msgspec.Meta(ge=0)] = 10_000


def open_store(config: PluginConfig, context: PluginContext, directory: Path) -> LogStore:
    from mainstem_plugins.storage_sqlite.database import Database
    from mainstem_plugins.storage_sqlite.store import SqliteStore

    assert isinstance(config, SqliteConfig)
    database = Database(directory / config.file_name, context.files, busy_timeout_ms=config.busy_timeout_ms)
    return SqliteStore(
        database,
        context.executor,
        context.log,
        staging_bytes_max=config.staging_bytes_max,
        cache_bytes_max=config.cache_bytes_max,
    )


def open_files(config: PluginConfig, context: PluginContext, directory: Path) -> FileSystem:
    from mainstem_plugins.storage_sqlite.database import Database
    from mainstem_plugins.storage_sqlite.small_files import SqliteFiles

    assert isinstance(config, SqliteConfig)
    database = Database(directory / config.file_name, context.files, busy_timeout_ms=config.busy_timeout_ms)
    return SqliteFiles(directory, database, context.files)


@hookimpl
def mainstem_register_storage() -> list[StorageBackend]:
    return [StorageBackend(name="sqlite", config=SqliteConfig, open=open_store, open_files=open_files)]
