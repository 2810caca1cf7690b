"""Markers: the end of a transaction, written into the log of every partition it has, again and again until all have it.

A coordinator says what to write (`core.txn.commands.WriteMarkers`), `MarkerPort` is how a partition is reached. Here that is the
partition itself; brokers of a cluster will send each other WriteTxnMarkers.
Source: KIP-98; Kafka's `TransactionMarkerChannelManager` and `TransactionMarkerRequestCompletionHandler`, 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from mainstem.api.context import Clock, Log
from mainstem.core.txn.commands import WriteMarkers
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import GROUP_OFFSETS_TOPIC
from mainstem.runtime.coordinator_shard import EndMarker
from mainstem.runtime.coordinator_timers import Scheduler
from mainstem.runtime.groups import Groups
from mainstem.runtime.partitions import Partitions

RETRY_S = 0.1

Done = Callable[[ErrorCode], None]
_NOT_READY = frozenset(
    {ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_COORDINATOR}
)
_FATAL = frozenset({ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.TRANSACTION_COORDINATOR_FENCED})


class MarkerPort(Protocol):
    def write(self, partition: TopicPartition, marker: EndMarker, done: Done) -> None:
        """`done` is told, perhaps at once, when the marker is committed, or why it cannot be."""


class LocalMarkers:
    """Partitions of this broker; those of `__consumer_offsets` through their groups' coordinator, whose state it changes."""

    def __init__(self, partitions: Partitions, groups: Groups, clock: Clock) -> None:
        self._partitions = partitions
        self._groups = groups
        self._clock = clock

    def write(self, partition: TopicPartition, marker: EndMarker, done: Done) -> None:
        hosted = self._partitions.get(partition.topic, partition.partition)
        if hosted is None:
            done(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            return
        if partition.topic == GROUP_OFFSETS_TOPIC:
            self._groups.end_transaction(partition.partition, marker, lambda error: done(_told(error)))
            return
        try:
            outcome = hosted.append_batch(marker.batch(self._clock.now_ms()))
        except StorageError:
            done(ErrorCode.KAFKA_STORAGE_ERROR)
            return
        if outcome.error is not ErrorCode.NONE:
            done(outcome.error)
        else:
            hosted.when_committed(outcome.last_offset, done)


def _told(error: ErrorCode) -> ErrorCode:
    """A transaction coordinator knows nothing of coordinators that are not ready; it asks a leader again."""
    return ErrorCode.NOT_LEADER_OR_FOLLOWER if error in _NOT_READY else error


class Completion:
    """One transaction from its decision to its last marker; then `completed` is called, once.

    Nothing is written once `is_current` says that the coordinator which decided is not in office any more: the one after it starts
    over, and a late marker of ours could end the producer's next transaction.
    """

    def __init__(
        self,
        decided: WriteMarkers,
        coordinator_epoch: int,
        port: MarkerPort,
        scheduler: Scheduler,
        log: Log,
        *,
        exists: Callable[[TopicPartition], bool],
        is_current: Callable[[], bool],
        completed: Callable[[], None],
    ) -> None:
        self._marker = EndMarker(decided.producer_id, decided.producer_epoch, coordinator_epoch, decided.is_commit)
        self._transactional_id = decided.transactional_id
        self._missing = set(decided.partitions)
        self._port = port
        self._scheduler = scheduler
        self._log = log
        self._exists = exists
        self._is_current = is_current
        self._completed = completed
        self._is_over = False

    def start(self) -> None:
        self._write(sorted(self._missing))

    def _write(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            if self._is_over or not self._is_current():
                return
            self._port.write(partition, self._marker, partial(self._written, partition))
        self._complete_if_done()

    def _written(self, partition: TopicPartition, error: ErrorCode) -> None:
        if error is ErrorCode.NONE or not self._exists(partition):
            # Nobody needs the marker of a partition that was deleted.
            self._missing.discard(partition)
            self._complete_if_done()
        elif error in _FATAL:
            # Somebody else speaks for this producer. The transaction stays as it was decided, as in Kafka.
            self._is_over = True
            self._log.error(
                "transaction.marker_fenced",
                transactional_id=self._transactional_id,
                producer_id=self._marker.producer_id,
                topic=partition.topic,
                partition=partition.partition,
                error=error.name,
            )
        else:
            self._scheduler.call_later(RETRY_S, self._write, [partition])

    def _complete_if_done(self) -> None:
        if not self._missing and not self._is_over and self._is_current():
            self._is_over = True
            self._completed()
