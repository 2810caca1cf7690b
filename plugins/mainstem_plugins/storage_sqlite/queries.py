"""Reading batches from the file. Blocking, each call on a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mainstem.api.storage import BatchSpan
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_sqlite.database import Database
from mainstem_plugins.storage_sqlite.schema import DELETED, LIVE
from mainstem_plugins.storage_sqlite.segment import SEGMENT_COLUMNS, Segment

_ROWS = """
    SELECT data, last_offset FROM batches
    WHERE segment_id = :segment AND last_offset >= :offset AND last_offset < :end ORDER BY last_offset
"""
_PROBE = """
    SELECT base_offset, last_offset, newest_timestamp FROM batches
    WHERE segment_id = ? AND last_offset >= ? ORDER BY last_offset LIMIT 1
"""
_WALK = """
    SELECT base_offset, last_offset, max_timestamp, size, data FROM batches
    WHERE segment_id = ? ORDER BY last_offset
"""


class Run(NamedTuple):
    data: bytes
    next_offset: int


def read_run(database: Database, segment_id: int, offset: int, end_offset: int, max_bytes: int) -> Run:
    """Whole batches of a segment from the one that contains `offset` up to `end_offset`, about `max_bytes`, but at least one."""
    parts: list[bytes] = []
    next_offset = offset
    given = {"segment": segment_id, "offset": offset, "end": end_offset}
    with database.reading() as connection:
        for data, last_offset in connection.execute(_ROWS, given):
            max_bytes -= len(data)
            if parts and max_bytes < 0:
                break
            parts.append(data)
            next_offset = last_offset + 1
            if max_bytes <= 0:
                break
    return Run(parts[0] if len(parts) == 1 else b"".join(parts), next_offset)


def first_at_time(database: Database, segment_id: int, base_offset: int, end_offset: int, timestamp: int) -> int | None:
    """Base offset of the first batch of a segment whose max timestamp is >= `timestamp`: bisected, about 30 look-ups."""
    found = None
    low, high = base_offset, end_offset
    with database.reading() as connection:
        while low < high:
            middle = (low + high) // 2
            row = connection.execute(_PROBE, (segment_id, middle)).fetchone()
            if row is None:
                high = middle
            elif row[2] >= timestamp:
                found = int(row[0])
                high = min(middle, row[0])
            else:
                low = row[1] + 1
    return found


def walk(database: Database, segment_id: int) -> Iterator[tuple[BatchSpan, bytes]]:
    """Every batch of a segment, in order."""
    with database.reading() as connection:
        for base_offset, last_offset, max_timestamp, size, data in connection.execute(_WALK, (segment_id,)):
            yield BatchSpan(size, base_offset, last_offset, max_timestamp), data


def live_segments(database: Database, partition_id: int) -> list[Segment]:
    """In order of base offset."""
    query = (
        f"SELECT {', '.join(SEGMENT_COLUMNS)} FROM segments WHERE partition_id = ? AND state = ? ORDER BY base_offset"
    )
    with database.reading() as connection:
        return [Segment.stored(row) for row in connection.execute(query, (partition_id, LIVE))]


def cut(database: Database, segment: Segment, later: Sequence[int], offset: int) -> Segment:
    """Take the batches with a last offset >= `offset` out of a segment, and the segments `later` out of the log.

    Returns the segment as it is then. One durable transaction.
    """
    key = segment.segment_id
    with database.writing() as connection:
        removed = connection.execute(_PROBE, (key, offset)).fetchone()
        connection.execute("DELETE FROM batches WHERE segment_id = ? AND last_offset >= ?", (key, offset))
        last = connection.execute(
            "SELECT position + size, newest_timestamp FROM batches WHERE segment_id = ? ORDER BY last_offset DESC LIMIT 1",
            (key,),
        ).fetchone()
        batches = connection.execute("SELECT count(*) FROM batches WHERE segment_id = ?", (key,)).fetchone()[0]
        # A batch that reaches over `offset` goes as a whole, so the log may end before it.
        end = offset if removed is None else min(offset, removed[0])
        kept = Segment(key, segment.partition_id, min(segment.base_offset, end))
        kept.end_offset = kept.kept_from = end
        if last is not None:
            kept.batches = batches
            kept.size, kept.max_timestamp = last
            kept.first_timestamp = segment.first_timestamp
        connection.execute(
            "UPDATE segments SET base_offset = ?, end_offset = ?, batches = ?, bytes = ?, max_timestamp = ?,"
            " first_timestamp = ? WHERE segment_id = ?",
            (kept.base_offset, end, kept.batches, kept.size, kept.max_timestamp, kept.first_timestamp, key),
        )
        for other in later:
            connection.execute("UPDATE segments SET state = ? WHERE segment_id = ?", (DELETED, other))
    return kept


def sidecar_keys(database: Database, partition_id: int) -> list[tuple[str, int]]:
    with database.reading() as connection:
        query = "SELECT kind, at_offset FROM sidecars WHERE partition_id = ?"
        return [(kind, offset) for kind, offset in connection.execute(query, (partition_id,))]


def sidecar(database: Database, partition_id: int, kind: str, offset: int) -> bytes:
    """Raises: StorageError if there is none."""
    query = "SELECT content FROM sidecars WHERE partition_id = ? AND kind = ? AND at_offset = ?"
    with database.reading() as connection:
        row = connection.execute(query, (partition_id, kind, offset)).fetchone()
    if row is None:
        raise StorageError(str(database.path), f"there is no {kind} at offset {offset}")
    return bytes(row[0])
