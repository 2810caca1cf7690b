"""What waits for the next commit: batches, segments and small changes of all logs of one store.

The loop only ever appends to lists here. A commit takes all of them at once and writes them in one transaction, in a thread; what
comes meanwhile waits for the next one. After a commit the newest batches stay in memory, for the readers at the end of the log.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from mainstem.api.storage import BatchSpan
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_sqlite.database import Database
from mainstem_plugins.storage_sqlite.segment import INSERT_BATCH, UPSERT_SEGMENT, BatchRow, Segment

BATCH_OVERHEAD_BYTES = 160
"""What a batch costs in memory beside its bytes, roughly."""


class Change(NamedTuple):
    sql: str
    values: tuple[object, ...]


class Kept(NamedTuple):
    """Batches of one commit that are still in memory."""

    segment: Segment
    batches: int
    last_offset: int
    bytes: int


class Taken(NamedTuple):
    """What one commit writes."""

    changes: list[Change]
    segments: list[tuple[object, ...]]
    rows: list[BatchRow]
    kept: list[Kept]
    bytes: int


class Staging:
    """`lock` guards everything that the loop and a committing or reading thread share, and is held for microseconds only;
    `_commit_lock` lets one commit run at a time, and whoever waits for it finds its own work done."""

    def __init__(self, database: Database, executor: Executor, *, staging_bytes_max: int, cache_bytes_max: int) -> None:
        self.database = database
        self.lock = threading.Lock()
        self._commit_lock = threading.Lock()
        self._executor = executor
        self._staging_bytes_max = staging_bytes_max
        self._cache_bytes_max = cache_bytes_max
        self._segment_ids = itertools.count(1)
        self._changes: list[Change] = []
        self._segments: dict[Segment, None] = {}
        self._rows: list[BatchRow] = []
        self._staged_bytes = 0
        self._kept: deque[Kept] = deque()
        self._kept_bytes = 0
        self._is_spilling = False
        self._failure: StorageError | None = None

    def continue_after(self, segment_id: int) -> None:
        """The largest id in the file."""
        self._segment_ids = itertools.count(segment_id + 1)

    def next_segment_id(self) -> int:
        return next(self._segment_ids)

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def check(self) -> None:
        """Raises: StorageError if a commit failed; nobody can say what the disk has after that."""
        if self._failure is not None:
            raise StorageError(self._failure.place, self._failure.reason)

    # ------------------------------------------------------------------------------------------------------- from the loop

    def append(self, segment: Segment, whole: bytes, spans: Sequence[BatchSpan]) -> None:
        """`whole` holds the batches that `spans` describe. Waits for a commit only when too much waits for one already.

        Raises: StorageError.
        """
        self.check()
        if self._staged_bytes >= self._staging_bytes_max:
            self.commit()
        with self.lock:
            position = 0
            for span in spans:
                batch = whole if span.size == len(whole) else whole[position : position + span.size]
                position += span.size
                row = segment.add(batch, span)
                segment.keep(row)
                self._rows.append(row)
            assert position == len(whole), "the spans describe all of the data"
            self._segments[segment] = None
            self._staged_bytes += position
        if self._staged_bytes * 2 >= self._staging_bytes_max:
            self.commit_soon()

    def changed(self, segment: Segment) -> None:
        """Its row is written by the next commit, as it is then."""
        with self.lock:
            self._segments[segment] = None

    def change(self, sql: str, values: tuple[object, ...]) -> None:
        with self.lock:
            self._changes.append(Change(sql, values))

    def commit_soon(self) -> None:
        """In a thread, if none is about to."""
        if not self._is_spilling:
            self._is_spilling = True
            self._executor.submit(self._spill)

    def _spill(self) -> None:
        self._is_spilling = False
        try:
            self.commit()
        except StorageError:
            # The next append or flush raises it, to somebody who can do something about it.
            pass

    # ------------------------------------------------------------------------------------------------------- in any thread

    def commit(self) -> None:
        """Everything that was staged before this call is on the disk when it returns. Blocking. Raises: StorageError, for good."""
        with self._commit_lock:
            self.check()
            with self.lock:
                taken = self._take()
            if not (taken.changes or taken.segments or taken.rows):
                return
            try:
                self._write(taken)
            except BaseException as error:
                # Also for a bug: what was taken is not waiting any more, and the next commit must not hide that.
                reason = f"a commit was broken off: {error!r}"
                place = str(self.database.path)
                self._failure = error if isinstance(error, StorageError) else StorageError(place, reason)
                raise
            with self.lock:
                self._keep(taken)

    def _take(self) -> Taken:
        kept = []
        for segment in self._segments:
            if segment.fresh_batches:
                size = segment.fresh_bytes + BATCH_OVERHEAD_BYTES * (segment.fresh_batches + 1)
                kept.append(Kept(segment, segment.fresh_batches, segment.end_offset - 1, size))
                segment.fresh_batches = segment.fresh_bytes = 0
        taken = Taken(self._changes, [s.row() for s in self._segments], self._rows, kept, self._staged_bytes)
        self._changes, self._segments, self._rows = [], {}, []
        self._staged_bytes = 0
        return taken

    def _write(self, taken: Taken) -> None:
        with self.database.writing() as connection:
            for sql, values in taken.changes:
                connection.execute(sql, values)
            connection.executemany(UPSERT_SEGMENT, taken.segments)
            connection.executemany(INSERT_BATCH, taken.rows)

    def _keep(self, taken: Taken) -> None:
        """What was committed stays in memory until newer batches need the room."""
        for kept in taken.kept:
            self._kept.append(kept)
            self._kept_bytes += kept.bytes
        while self._kept_bytes > self._cache_bytes_max:
            oldest = self._kept.popleft()
            self._kept_bytes -= oldest.bytes
            oldest.segment.give_up(oldest.batches, oldest.last_offset)
