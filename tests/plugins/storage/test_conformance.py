"""Our storage plugins run the suite that a stranger's runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstem.api.context import PluginContext
from mainstem.api.files import OsFiles
from mainstem.testing.conformance import storage
from mainstem_plugins.storage_memory.store import MemoryStore
from mainstem_plugins.storage_segments.store import SegmentStore
from mainstem_plugins.storage_sqlite import SqliteConfig, open_store


@pytest.mark.parametrize("check", storage.DURABLE_CHECKS, ids=lambda c: c.__name__)
def test_segments(check: object, tmp_path: Path) -> None:
    check(lambda: SegmentStore(tmp_path, OsFiles(), open_files_max=2))  # type: ignore[operator]


@pytest.mark.parametrize("check", storage.DURABLE_CHECKS, ids=lambda c: c.__name__)
def test_segments_without_nowait_reads(check: object, tmp_path: Path) -> None:
    check(lambda: SegmentStore(tmp_path, OsFiles(nowait=None), open_files_max=2))  # type: ignore[operator]


@pytest.mark.parametrize("check", storage.CHECKS, ids=lambda c: c.__name__)
def test_memory(check: object) -> None:
    check(MemoryStore)  # type: ignore[operator]


@pytest.mark.parametrize("check", storage.DURABLE_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize(
    "config",
    [
        SqliteConfig(),
        SqliteConfig(cache_bytes_max=700),
        SqliteConfig(staging_bytes_max=5000),
    ],
    ids=["defaults", "small cache", "small staging"],
)
def test_sqlite(check: object, config: SqliteConfig, tmp_path: Path, context: PluginContext) -> None:
    check(lambda: open_store(config, context, tmp_path))  # type: ignore[operator]
