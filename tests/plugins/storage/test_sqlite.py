"""What is particular to storage `sqlite`: one readable file, commits that are shared, bounds, and errors that say what to do."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mainstem.api.context import PluginContext
from mainstem.api.files import WouldBlock
from mainstem.model.errors import StorageError
from mainstem.model.ids import TopicId, TopicPartition
from mainstem.testing.conformance.storage_samples import (
    PARTITION,
    TOPIC_ID,
    append,
    batch_at,
    in_segments,
    offsets_in,
    read_all,
)
from mainstem_plugins.storage_sqlite import SqliteConfig, database, open_store, queries
from mainstem_plugins.storage_sqlite.schema import DELETED, REWRITING

FILE_NAME = "mainstem.sqlite3"
OTHER = TopicPartition("orders", 1)


@pytest.fixture
def make_store(tmp_path: Path, context: PluginContext) -> Any:
    """Stores of one directory; `make_store(staging_bytes_max=3)` sets what the configuration can."""
    return lambda **settings: open_store(SqliteConfig(**settings), context, tmp_path)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """What somebody else sees in the file."""
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        yield connection


def rows(connection: sqlite3.Connection, query: str) -> list[Any]:
    return connection.execute(query).fetchall()


def test_one_file_is_left_after_a_clean_stop(make_store: Any, tmp_path: Path) -> None:
    store, log = in_segments(make_store, (0, 1), (2, 3))
    log.read(0, 4, 1000)
    log.flush()
    store.close(clean=True)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_person_finds_offsets_batches_and_times(make_store: Any, shell: sqlite3.Connection) -> None:
    store, log = in_segments(make_store, (0, 1), (2, 3), timestamp=1_700_000_000_000)
    append(log, batch_at(4, count=7))
    store.write_properties({"cluster.id": "mine"})
    log.flush()
    assert rows(
        shell, "SELECT topic, partition, first_offset, log_end_offset, segments, batches FROM topic_partitions"
    ) == [("orders", 0, 0, 11, 2, 5)]
    assert rows(shell, "SELECT sum(bytes), max(newest_record) FROM topic_partitions") == [
        (log.size, "2023-11-14 22:13:20")
    ]
    listed = rows(shell, "SELECT segment, base_offset, last_offset, records FROM batch_list")
    assert listed == [(0, 0, 0, 1), (0, 1, 1, 1), (2, 2, 2, 1), (2, 3, 3, 1), (2, 4, 10, 7)]
    assert ("cluster.id", "mine") in rows(shell, "SELECT * FROM settings_of_this_file")
    assert rows(shell, "SELECT data FROM batches WHERE base_offset = 2") == [
        (bytes(batch_at(2, timestamp=1_700_000_000_002)),)
    ]


def test_a_flush_commits_every_log_of_the_store(make_store: Any, shell: sqlite3.Connection) -> None:
    store = make_store()
    first, second = store.open_log(PARTITION, TOPIC_ID), store.open_log(OTHER, TOPIC_ID)
    append(first, batch_at(0))
    append(second, batch_at(0))
    assert rows(shell, "SELECT count(*) FROM batches") == [(0,)]
    first.flush()
    assert rows(shell, "SELECT count(*) FROM batches") == [(2,)]
    second.flush()
    assert read_all(second) == [0]


def test_what_was_not_flushed_is_lost_with_the_process_and_nothing_else(
    make_store: Any, tmp_path: Path, context: PluginContext
) -> None:
    """The files are copied as they are, which is what a kill leaves."""
    _, log = in_segments(make_store, (0, 1), (2, 3))
    log.flush()
    append(log, batch_at(4))
    log.put_sidecar("snapshot", 5, b"state")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob("mainstem*"):
        (copy / path.name).write_bytes(path.read_bytes())
    survivor = open_store(SqliteConfig(), context, copy)
    assert not survivor.was_clean
    found = survivor.open_log(PARTITION, TOPIC_ID)
    assert (read_all(found), list(found.sidecars("snapshot"))) == ([0, 1, 2, 3], [])


def test_too_much_that_waits_is_committed_without_a_flush(make_store: Any, shell: sqlite3.Connection) -> None:
    log = make_store(staging_bytes_max=20_000).open_log(PARTITION, TOPIC_ID)
    for offset in range(100):
        append(log, batch_at(offset, payload=b"v" * 1000))
        waiting = log.size - (rows(shell, "SELECT coalesce(sum(bytes), 0) FROM segments")[0][0])
        assert waiting <= 2 * (20_000 + 1100)
    assert read_all(log) == list(range(100))


def test_batches_leave_memory_when_newer_ones_need_the_room(make_store: Any) -> None:
    log = make_store(cache_bytes_max=30_000).open_log(PARTITION, TOPIC_ID)
    for offset in range(100):
        append(log, batch_at(offset, payload=b"v" * 1000))
        log.flush()
    assert log.read(99, 100, 1000, may_block=False)
    with pytest.raises(WouldBlock):
        log.read(0, 100, 1000, may_block=False)
    in_memory = [offset for offset in range(100) if is_in_memory(log, offset)]
    assert in_memory == list(range(in_memory[0], 100))
    assert 10 < len(in_memory) <= 30
    assert read_all(log) == list(range(100))


@pytest.mark.parametrize("look_up", ["read_run", "first_at_time"])
def test_a_batch_that_leaves_memory_while_it_is_looked_for_in_the_file_is_found(
    make_store: Any, monkeypatch: pytest.MonkeyPatch, look_up: str
) -> None:
    """The look-up in the file begins before the commit of the batch, the one in memory comes after it."""
    log = make_store(cache_bytes_max=0).open_log(PARTITION, TOPIC_ID)
    append(log, batch_at(0, timestamp=1000))
    log.flush()
    append(log, batch_at(5, timestamp=2000))
    append(log, batch_at(6, timestamp=3000))
    original = getattr(queries, look_up)

    def look_up_slowly(*arguments: Any) -> Any:
        found = original(*arguments)
        log.flush()
        return found

    monkeypatch.setattr(queries, look_up, look_up_slowly)
    if look_up == "read_run":
        assert offsets_in(log.read(1, 7, 1)) == [5]
        # What was kept and what was not never makes a hole.
        append(log, batch_at(7))
        assert offsets_in(log.read(0, 8, 1 << 20)) == [0, 5, 6, 7]
    else:
        assert log.offset_for_time(1500, 7) == 5


def is_in_memory(log: Any, offset: int) -> bool:
    try:
        return bool(log.read(offset, 100, 1, may_block=False))
    except WouldBlock:
        return False


def test_the_write_ahead_log_stays_short_although_somebody_always_reads(
    make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two connections of a thread read in turns, each beginning before the other one ends."""
    monkeypatch.setattr(database, "WAL_BYTES", 500_000)
    monkeypatch.setattr(database, "WAL_BYTES_MAX", 2_000_000)
    log = make_store().open_log(PARTITION, TOPIC_ID)
    append(log, batch_at(0))
    log.flush()
    is_done = threading.Event()

    def read_for_ever() -> None:
        readers = [sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None) for _ in range(2)]
        for turn in itertools.count():
            current, other = readers[turn % 2], readers[(turn + 1) % 2]
            current.execute("BEGIN")
            rows(current, "SELECT count(*) FROM batches")
            if other.in_transaction:
                other.execute("ROLLBACK")
            if is_done.wait(0.001):
                break
        for reader in readers:
            reader.close()

    reading = threading.Thread(target=read_for_ever)
    reading.start()
    sizes = []
    try:
        for offset in range(1, 80):
            append(log, batch_at(offset, payload=bytes(100_000)))
            log.flush()
            sizes.append((tmp_path / f"{FILE_NAME}-wal").stat().st_size)
    finally:
        is_done.set()
        reading.join()
    assert max(sizes) < 5_000_000
    assert read_all(log) == list(range(80))


def test_deleted_batches_give_the_disk_back(make_store: Any, tmp_path: Path, shell: sqlite3.Connection) -> None:
    store = make_store()
    log = store.open_log(PARTITION, TOPIC_ID)
    for offset in range(160):
        if offset == 159:
            log.roll(offset)
        append(log, batch_at(offset, payload=bytes(100_000)))
    log.flush()
    log.delete_before(159)
    store.purge()
    assert rows(shell, "SELECT base_offset FROM batches") == [(159,)]
    assert rows(shell, "SELECT state, count(*) FROM segments GROUP BY 1") == [("live", 1)]
    pages, unused = (rows(shell, f"PRAGMA {name}")[0][0] for name in ("page_count", "freelist_count"))
    assert (pages - unused) * 8192 < 1_000_000
    shell.close()
    store.close(clean=True)
    assert (tmp_path / FILE_NAME).stat().st_size < 10_000_000
    assert read_all(make_store().open_log(PARTITION, TOPIC_ID)) == [159]


def test_a_rewrite_that_was_not_put_in_place_goes_with_the_next_start(
    make_store: Any, shell: sqlite3.Connection
) -> None:
    store, log = in_segments(make_store, (0, 1), (2, 3))
    log.flush()
    log.rewrite(0, 2).finish()
    store.close(clean=False)
    assert rows(shell, f"SELECT count(*) FROM segments WHERE state = '{REWRITING}'") == [(1,)]
    store = make_store()
    assert rows(shell, f"SELECT count(*) FROM segments WHERE state = '{DELETED}'") == [(1,)]
    store.purge()
    assert rows(shell, "SELECT state, count(*) FROM segments GROUP BY 1") == [("live", 2)]


def test_records_of_another_topic_of_that_name_stay_in_the_file(make_store: Any, shell: sqlite3.Connection) -> None:
    store, log = in_segments(make_store, (0, 1))
    log.flush()
    store.close(clean=True)
    store = make_store()
    assert read_all(store.open_log(PARTITION, TopicId(bytes(range(1, 17))))) == []
    store.purge()
    query = "SELECT state, count(*) FROM partitions JOIN segments USING (partition_id) JOIN batches USING (segment_id)"
    assert rows(shell, query.replace("state", "partitions.state", 1) + " GROUP BY 1") == [("stray", 2)]


# ------------------------------------------------------------------------------------------------------------------ errors


def test_a_full_disk_refuses_the_commit_and_loses_nothing_before_it(make_store: Any) -> None:
    store, log = in_segments(make_store, (0, 1), (2, 3))
    log.flush()
    writer = store._database._writer
    writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0]}")
    append(log, batch_at(4, payload=bytes(1_000_000)))
    with pytest.raises(StorageError, match="the disk is full"):
        log.flush()
    # A second try could succeed and hide that something is missing, so there is none.
    writer.execute("PRAGMA max_page_count = 1000000")
    with pytest.raises(StorageError, match="the disk is full"):
        log.flush()
    with pytest.raises(StorageError, match="the disk is full"):
        append(log, batch_at(5))
    store.close(clean=False)
    store = make_store()
    assert not store.was_clean
    assert read_all(store.open_log(PARTITION, TOPIC_ID)) == [0, 1, 2, 3]


def test_a_commit_that_a_bug_broke_off_is_not_forgotten(make_store: Any) -> None:
    """SQLite has no integer of that size; checks before the store refuse it, so it stands for any bug."""
    store, log = in_segments(make_store, (0, 1))
    log.flush()
    log.put_sidecar("snapshot", 1 << 70, b"")
    append(log, batch_at(2))
    with pytest.raises(OverflowError):
        log.flush()
    with pytest.raises(StorageError, match="a commit was broken off"):
        log.flush()
    with pytest.raises(StorageError, match="a commit was broken off"):
        append(log, batch_at(3))
    store.close(clean=True)
    store = make_store()
    assert not store.was_clean
    assert read_all(store.open_log(PARTITION, TOPIC_ID)) == [0, 1]


def test_another_program_that_writes_for_too_long_is_named(make_store: Any, shell: sqlite3.Connection) -> None:
    log = make_store(busy_timeout_ms=1).open_log(PARTITION, TOPIC_ID)
    append(log, batch_at(0))
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="another program is writing to this file"):
        log.flush()


def test_a_person_who_reads_holds_nobody_up(make_store: Any, shell: sqlite3.Connection) -> None:
    _, log = in_segments(make_store, (0, 1))
    log.flush()
    shell.execute("BEGIN")
    assert rows(shell, "SELECT count(*) FROM batches") == [(2,)]
    append(log, batch_at(2))
    log.flush()
    assert rows(shell, "SELECT count(*) FROM batches") == [(2,)]
    shell.execute("COMMIT")
    assert rows(shell, "SELECT count(*) FROM batches") == [(3,)]


def test_files_that_are_something_else_are_refused(make_store: Any, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"not what you think" * 1000)
    with pytest.raises(StorageError, match="not an SQLite file"):
        make_store()
    path.unlink()
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE accounts (name TEXT)")
    with pytest.raises(StorageError, match="was not made by mainstem"):
        make_store()
    path.unlink()
    make_store().close(clean=True)
    with closing(sqlite3.connect(path)) as later:
        later.execute("PRAGMA user_version = 7")
    with pytest.raises(StorageError, match="schema version 7, and this version reads 1"):
        make_store()


def test_a_damaged_file_says_so(make_store: Any, tmp_path: Path) -> None:
    store, log = in_segments(make_store, tuple(range(500)))
    log.flush()
    store.close(clean=True)
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[16384:] = b"\xff" * (len(content) - 16384)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        read_all(make_store().open_log(PARTITION, TOPIC_ID))


def test_a_batch_that_somebody_changed_is_cut_by_recovery(make_store: Any, shell: sqlite3.Connection) -> None:
    store, log = in_segments(make_store, (0, 1, 2), (3, 4))
    log.flush()
    store.close(clean=False)
    shell.execute("UPDATE batches SET data = substr(data, 1, 65) WHERE base_offset = 1")
    log = make_store().open_log(PARTITION, TOPIC_ID)
    log.recover(0, lambda header, data: True)
    assert (log.end_offset, read_all(log)) == (1, [0])


def test_a_directory_that_cannot_be_made_is_a_storage_error(tmp_path: Path, context: PluginContext) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_store(SqliteConfig(), context, tmp_path / "file" / "below")
