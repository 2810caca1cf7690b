"""A compacted segment on its way: its batches go into the file beside the old ones, under an id that nobody reads yet."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.api.files import Buffer
from mainstem.api.storage import BatchSpan
from mainstem.model.errors import StorageError
from mainstem_plugins.storage_sqlite.schema import DELETED, REWRITING
from mainstem_plugins.storage_sqlite.segment import INSERT_BATCH, UPSERT_SEGMENT, BatchRow, Segment
from mainstem_plugins.storage_sqlite.staging import Staging

CHUNK_BYTES = 4 << 20
"""Written in one transaction; appends of the broker wait no longer than for one of these."""


class SqliteRewrite:
    """See `api.storage.SegmentRewrite`. A start finds it in state `rewriting` and deletes it."""

    def __init__(self, staging: Staging, partition_id: int, first_base: int, replaced: list[Segment]) -> None:
        if not replaced or replaced[0].base_offset != first_base:
            raise StorageError(str(staging.database.path), f"no closed segment starts at offset {first_base}")
        self.replaced = replaced
        self.segment = Segment(staging.next_segment_id(), partition_id, first_base, REWRITING)
        self.is_finished = False
        self._staging = staging
        self._rows: list[BatchRow] = []
        self._bytes = 0

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        whole = bytes(data[0]) if len(data) == 1 else b"".join(data)
        position = 0
        for span in spans:
            self._rows.append(self.segment.add(whole[position : position + span.size], span))
            position += span.size
        self._bytes += position
        if self._bytes >= CHUNK_BYTES:
            self._write()

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        self._bytes = 0
        with self._staging.database.writing() as connection:
            connection.execute(UPSERT_SEGMENT, self.segment.row())
            connection.executemany(INSERT_BATCH, rows)

    def finish(self) -> None:
        self._write()
        self.segment.kept_from = self.segment.end_offset
        self.is_finished = True

    def abandon(self) -> None:
        self._rows = []
        self.is_finished = False
        self.segment.state = DELETED
        self._staging.changed(self.segment)
