"""Stores against a model in memory, whatever the sequence of calls (Hypothesis)."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from mainstem.api.context import PluginContext
from mainstem.api.files import OsFiles
from mainstem.testing.conformance import storage_model
from mainstem.testing.crashing_files import CrashingFiles
from mainstem_plugins.storage_segments.store import SegmentStore
from mainstem_plugins.storage_sqlite import SqliteConfig, open_store


def test_segments_on_disk(tmp_path: Path) -> None:
    numbers = count()

    def new_place() -> storage_model.MakeStore:
        place = tmp_path / str(next(numbers))
        return lambda: SegmentStore(place, OsFiles(), open_files_max=2)

    storage_model.run(new_place, examples=15)


@pytest.mark.parametrize("has_sync_all", [True, False])
def test_segments_in_memory(has_sync_all: bool) -> None:
    def new_place() -> storage_model.MakeStore:
        files = CrashingFiles(has_sync_all=has_sync_all)
        return lambda: SegmentStore(Path("/data"), files, open_files_max=2)

    storage_model.run(new_place, examples=30)


def test_sqlite(tmp_path: Path, context: PluginContext) -> None:
    numbers = count()

    def new_place() -> storage_model.MakeStore:
        place = tmp_path / str(next(numbers))
        return lambda: open_store(SqliteConfig(staging_bytes_max=3000, cache_bytes_max=2000), context, place)

    storage_model.run(new_place, examples=20)
