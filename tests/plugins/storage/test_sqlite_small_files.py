"""The broker's small files inside the SQLite file, as the metadata journal uses them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mainstem.api.context import PluginContext
from mainstem.api.files import FileSystem
from mainstem.model.cluster import BrokerRegistration, ConfigChanged
from mainstem.model.errors import FencedError
from mainstem.testing.conformance.storage_samples import PARTITION, TOPIC_ID, append, batch_at, read_all
from mainstem_plugins.coordinator_embedded import EmbeddedConfig, open_coordinator
from mainstem_plugins.storage_sqlite import SqliteConfig, open_files, open_store


@pytest.fixture
def files(tmp_path: Path, context: PluginContext) -> FileSystem:
    return open_files(SqliteConfig(), context, tmp_path)


def test_a_file_is_appended_read_cut_and_kept(files: FileSystem, tmp_path: Path) -> None:
    path = tmp_path / "some.journal"
    assert files.list_directory(tmp_path) == []
    file = files.open(path)
    assert (file.size(), files.list_directory(tmp_path)) == (0, ["some.journal"])
    with pytest.raises(FileNotFoundError, match=r"other\.journal"):
        files.open(tmp_path / "other.journal", create=False)
    file.append([b"one\n", memoryview(b"two\n")], 8)
    file.append([b"three\n"], 6)
    file.sync()
    assert (file.size(), files.file_size(path)) == (14, 14)
    assert bytes(file.read(4, 6)) == b"two\nth"
    file.truncate(10)
    assert bytes(file.read(0, 100)) == b"one\ntwo\nth"
    file.truncate(0)
    assert (file.size(), files.read_file(path)) == (0, b"")
    file.append([b"four\n"], 5)
    file.close()
    assert files.read_file(path) == b"four\n"
    assert [name.name for name in tmp_path.iterdir()] == ["mainstem.sqlite3"]


def test_whole_files_are_replaced_renamed_and_removed(files: FileSystem, tmp_path: Path) -> None:
    files.make_directory(tmp_path / "below")
    files.write_file(tmp_path / "a", b"1")
    files.write_file(tmp_path / "a", b"first\nsecond")
    files.write_file(tmp_path / "below" / "b", b"\x00\xff")
    files.write_file(tmp_path / "below" / "c", b"", sync_name=False)
    assert files.list_directory(tmp_path) == ["a", "below"]
    assert files.list_directory(tmp_path / "below") == ["b", "c"]
    files.rename(tmp_path / "a", tmp_path / "below" / "b")
    files.sync_directory(tmp_path)
    assert files.read_file(tmp_path / "below" / "b") == b"first\nsecond"
    assert files.read_file(tmp_path / "below" / "c") == b""
    files.remove(tmp_path / "below" / "c")
    files.remove(tmp_path / "below" / "c")
    assert files.list_directory(tmp_path / "below") == ["b"]
    files.remove_tree(tmp_path / "below")
    assert files.list_directory(tmp_path) == []
    for call in (files.read_file, files.file_size):
        with pytest.raises(FileNotFoundError, match="below"):
            call(tmp_path / "below" / "b")


async def test_the_metadata_journal_lives_in_the_file_of_the_records(context: PluginContext, tmp_path: Path) -> None:
    """Both write in turns; the journal is rewritten once; after the last one has closed there is one file."""
    inside = replace(context, files=open_files(SqliteConfig(), context, tmp_path))
    for number in range(2):
        coordinator: Any = open_coordinator(EmbeddedConfig(compaction_bytes_min=2000), inside, tmp_path)
        changes = await coordinator.open()
        assert len(changes) == number
        store = open_store(SqliteConfig(), context, tmp_path)
        log = store.open_log(PARTITION, TOPIC_ID)
        assert (
            await coordinator.register(BrokerRegistration(broker_id=1, epoch=0, endpoints=(), rack=None)) == number + 1
        )
        claim = await coordinator.elect(1)
        for value in range(30):
            change = ConfigChanged(resource_type="broker", resource_name="", key="k", value=f"{number}/{value}")
            await coordinator.write([change], claim.epoch)
            append(log, batch_at(30 * number + value))
            log.flush()
        with pytest.raises(FencedError):
            await coordinator.write([change], claim.epoch - 1)
        assert read_all(log) == list(range(30 * number + 30))
        store.close(clean=True)
        await coordinator.close()
        assert os.listdir(tmp_path) == ["mainstem.sqlite3"]
    with closing(sqlite3.connect(tmp_path / "mainstem.sqlite3")) as shell:
        lines = [line for (line,) in shell.execute("SELECT line FROM metadata_journal")]
    assert len(lines) < 60
    assert '"Founded"' in lines[0]
    assert '"1/29"' in lines[-1]
