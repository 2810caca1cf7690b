"""One log directory's file: which logs it has, checkpoints, properties, the mark of a clean stop."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from mainstem.api.context import Log
from mainstem.api.storage import PartitionLog
from mainstem.model.ids import NO_TOPIC_ID, TopicId, TopicPartition, topic_id_from_text, topic_id_text
from mainstem_plugins.storage_sqlite import purge, queries
from mainstem_plugins.storage_sqlite.database import Database
from mainstem_plugins.storage_sqlite.log import SqliteLog
from mainstem_plugins.storage_sqlite.schema import DELETED, LIVE, REWRITING, STRAY
from mainstem_plugins.storage_sqlite.segment import Segment
from mainstem_plugins.storage_sqlite.staging import Staging

CLEAN_STOP = "clean stop"
BROKER_EPOCH = "broker epoch"
"""Of the broker that last stopped cleanly."""


@dataclass(slots=True)
class KnownLog:
    """`log` is None until it is opened, and then lives as long as the store."""

    partition_id: int
    topic_id: TopicId
    log: SqliteLog | None = None


class SqliteStore:
    """See `api.storage.LogStore`."""

    def __init__(
        self, database: Database, executor: Executor, log: Log, *, staging_bytes_max: int, cache_bytes_max: int
    ) -> None:
        """Raises: StorageError."""
        self._database = database
        self._log = log
        self._staging = Staging(
            database, executor, staging_bytes_max=staging_bytes_max, cache_bytes_max=cache_bytes_max
        )
        self._known: dict[TopicPartition, KnownLog] = {}
        database.open()
        try:
            self._was_clean = self._load()
        except BaseException:
            database.close()
            raise

    def _load(self) -> bool:
        with self._database.writing() as connection:
            # The mark promises something about the past only; a crash from now on must not find it.
            has_mark = connection.execute("DELETE FROM marks WHERE name = ?", (CLEAN_STOP,)).rowcount > 0
            connection.execute("UPDATE segments SET state = ? WHERE state = ?", (DELETED, REWRITING))
            query = "SELECT topic, partition, topic_id, partition_id FROM partitions WHERE state = ? ORDER BY 1, 2"
            for topic, partition, topic_id, partition_id in connection.execute(query, (LIVE,)):
                known = KnownLog(partition_id, topic_id_from_text(topic_id))
                self._known[TopicPartition(topic, partition)] = known
            self._staging.continue_after(
                connection.execute("SELECT coalesce(max(segment_id), 0) FROM segments").fetchone()[0]
            )
            last = connection.execute("SELECT coalesce(max(partition_id), 0) FROM partitions").fetchone()[0]
            # Logs may be opened in several threads at the start; taking the next number of a counter is one step.
            self._partition_ids = itertools.count(last + 1)
        return has_mark or not self._known

    @property
    def place(self) -> str:
        return str(self._database.path)

    @property
    def was_clean(self) -> bool:
        return self._was_clean

    def existing(self) -> Sequence[tuple[TopicPartition, TopicId]]:
        return [(partition, known.topic_id) for partition, known in self._known.items()]

    def open_log(
        self, partition: TopicPartition, topic_id: TopicId, *, index_interval_bytes: int = 4096
    ) -> PartitionLog:
        known = self._known.get(partition)
        if known is not None and known.topic_id != topic_id and topic_id != NO_TOPIC_ID:
            known = self._identify(partition, known, topic_id)
        if known is None:
            known = self._known[partition] = self._create(partition, topic_id)
        if known.log is None:
            known.log = SqliteLog(
                known.partition_id, queries.live_segments(self._database, known.partition_id), self._staging
            )
            for kind, offset in queries.sidecar_keys(self._database, known.partition_id):
                known.log.know_sidecar(kind, offset)
        return known.log

    def _identify(self, partition: TopicPartition, known: KnownLog, topic_id: TopicId) -> KnownLog | None:
        """A log without an id gets one. Records of another topic that had this name stay in the file, out of the way."""
        if known.topic_id == NO_TOPIC_ID:
            self._staging.change(
                "UPDATE partitions SET topic_id = ? WHERE partition_id = ?",
                (topic_id_text(topic_id), known.partition_id),
            )
            known.topic_id = topic_id
            return known
        self._staging.change("UPDATE partitions SET state = ? WHERE partition_id = ?", (STRAY, known.partition_id))
        self._log.warning(
            "storage.stray_partition",
            topic=partition.topic,
            partition=partition.partition,
            topic_id=topic_id_text(known.topic_id),
        )
        del self._known[partition]
        return None

    def _create(self, partition: TopicPartition, topic_id: TopicId) -> KnownLog:
        partition_id = next(self._partition_ids)
        self._staging.change(
            "INSERT INTO partitions (partition_id, topic, partition, topic_id, state) VALUES (?, ?, ?, ?, ?)",
            (partition_id, partition.topic, partition.partition, topic_id_text(topic_id), LIVE),
        )
        first = Segment(self._staging.next_segment_id(), partition_id, 0)
        self._staging.changed(first)
        return KnownLog(partition_id, topic_id, SqliteLog(partition_id, [first], self._staging))

    def delete_log(self, partition: TopicPartition) -> None:
        known = self._known.pop(partition, None)
        if known is None:
            return
        self._staging.change("UPDATE partitions SET state = ? WHERE partition_id = ?", (DELETED, known.partition_id))
        if known.log is not None:
            known.log.drop()
        # Many partitions of a topic go at once; nobody shall wait for a disk for each.
        self._staging.commit_soon()

    def purge(self) -> None:
        self._staging.commit()
        purge.purge(self._database)

    def read_properties(self) -> Mapping[str, str]:
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT name, value FROM properties").fetchall())

    def write_properties(self, properties: Mapping[str, str]) -> None:
        with self._database.writing() as connection:
            connection.execute("DELETE FROM properties")
            connection.executemany("INSERT INTO properties (name, value) VALUES (?, ?)", properties.items())

    def read_checkpoint(self, name: str) -> Mapping[TopicPartition, int]:
        query = "SELECT topic, partition, at_offset FROM checkpoints WHERE name = ?"
        with self._database.reading() as connection:
            return {TopicPartition(topic, number): at for topic, number, at in connection.execute(query, (name,))}

    def write_checkpoint(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        rows = [(name, partition.topic, partition.partition, offset) for partition, offset in offsets.items()]
        with self._database.writing() as connection:
            connection.execute("DELETE FROM checkpoints WHERE name = ?", (name,))
            connection.executemany(
                "INSERT INTO checkpoints (name, topic, partition, at_offset) VALUES (?, ?, ?, ?)", rows
            )

    def close(self, *, clean: bool, broker_epoch: int = -1) -> None:
        try:
            if not self._staging.has_failed:
                self._staging.commit()
                if clean:
                    with self._database.writing() as connection:
                        marks = ((CLEAN_STOP, "yes"), (BROKER_EPOCH, str(broker_epoch)))
                        connection.executemany("INSERT OR REPLACE INTO marks (name, value) VALUES (?, ?)", marks)
        finally:
            self._database.close()
