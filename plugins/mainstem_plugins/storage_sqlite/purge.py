"""Removing for good what was marked as deleted, a few megabytes at a time, so that commits find the write lock free in between."""

from __future__ import annotations

import sqlite3

from mainstem_plugins.storage_sqlite.database import Database
from mainstem_plugins.storage_sqlite.schema import DELETED

CHUNK_BYTES = 8 << 20
VACUUM_PAGES = 1024

_DEAD_SEGMENT = """
    SELECT s.segment_id, s.bytes, s.batches FROM segments s JOIN partitions p ON p.partition_id = s.partition_id
    WHERE s.state = :deleted OR p.state = :deleted ORDER BY s.segment_id LIMIT 1
"""
_DELETE_BATCHES = """
    DELETE FROM batches WHERE batch_id IN (
        SELECT batch_id FROM batches WHERE segment_id = ? ORDER BY last_offset LIMIT ?)
"""


def purge(database: Database) -> None:
    """Blocking. What was deleted must be committed by then. Raises: StorageError."""
    while True:
        with database.writing() as connection:
            if not _purge_chunk(connection):
                break
    while database.release_space(VACUUM_PAGES):
        pass


def _purge_chunk(connection: sqlite3.Connection) -> bool:
    """False: nothing is left to remove."""
    found = connection.execute(_DEAD_SEGMENT, {"deleted": DELETED}).fetchone()
    if found is None:
        connection.execute(
            "DELETE FROM sidecars WHERE partition_id IN (SELECT partition_id FROM partitions WHERE state = ?)",
            (DELETED,),
        )
        connection.execute("DELETE FROM partitions WHERE state = ?", (DELETED,))
        return False
    segment_id, size, batches = found
    rows = max(1, CHUNK_BYTES * max(batches, 1) // max(size, 1))
    if connection.execute(_DELETE_BATCHES, (segment_id, rows)).rowcount < rows:
        connection.execute("DELETE FROM segments WHERE segment_id = ?", (segment_id,))
    return True
