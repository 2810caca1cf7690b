"""From stored files to a log that can be served: sidecars read, state rebuilt, what a crash left behind cut off.

Source: Kafka's `LogLoader` and `ProducerStateManager.truncateAndReload`, 4.1 (research: broker.md 5.3). Blocking.
"""

from __future__ import annotations

from typing import NamedTuple

from mainstem.api.storage import LogStore, PartitionLog, SidecarKind
from mainstem.core.log.aborted import AbortedTransaction, decode_index
from mainstem.core.log.epochs import LeaderEpochs
from mainstem.core.log.producer_state import ProducerStates
from mainstem.core.log.recovery import RecoveryWalk
from mainstem.core.log.state import LogState
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.ids import TopicId, TopicPartition

DAMAGED = -1


class OpenedLog(NamedTuple):
    log: PartitionLog
    state: LogState
    batches_read: int


def open_log(
    store: LogStore, partition: TopicPartition, topic_id: TopicId, config: TopicConfig, now_ms: int
) -> OpenedLog:
    """After a clean stop: only what no snapshot covers is read. Raises: StorageError."""
    log = store.open_log(partition, topic_id, index_interval_bytes=config.index_interval_bytes)
    state = LogState(epochs=_load_epochs(log))
    snapshot = _load_snapshot(log, state)
    batches_read = 0
    if snapshot != 0 and snapshot < log.end_offset:
        walk = RecoveryWalk(state, snapshot, now_ms, gaps_allowed=config.is_compacted)
        log.recover(max(snapshot, 0), walk.accept)
        batches_read = walk.batches_read
    return OpenedLog(log, state, batches_read)


def recover_log(
    store: LogStore,
    partition: TopicPartition,
    topic_id: TopicId,
    config: TopicConfig,
    now_ms: int,
    recovery_point: int,
) -> OpenedLog:
    """After an unclean stop: keep what is good from the segment of `recovery_point` on, and make it durable.

    Raises: StorageError.
    """
    log = store.open_log(partition, topic_id, index_interval_bytes=config.index_interval_bytes)
    state = LogState(epochs=_load_epochs(log))
    snapshot = _load_snapshot(log, state)
    state.epochs.truncate_from_end(log.end_offset)
    walk = RecoveryWalk(state, snapshot, now_ms, gaps_allowed=config.is_compacted)
    log.recover(min(recovery_point, snapshot) if snapshot > 0 else 0, walk.accept)
    state.epochs.truncate_from_end(log.end_offset)
    for offset in log.sidecars(SidecarKind.PRODUCER_SNAPSHOT):
        if offset > log.end_offset:
            log.delete_sidecar(SidecarKind.PRODUCER_SNAPSHOT, offset)
    log.flush()
    return OpenedLog(log, state, walk.batches_read)


def _load_epochs(log: PartitionLog) -> LeaderEpochs:
    if log.sidecars(SidecarKind.LEADER_EPOCHS):
        try:
            return LeaderEpochs.decode(log.get_sidecar(SidecarKind.LEADER_EPOCHS, 0))
        except (ValueError, IndexError):
            pass  # damaged: the batches know their epochs
    return LeaderEpochs()


def _load_snapshot(log: PartitionLog, state: LogState) -> int:
    """The newest whole snapshot that the log still reaches; returns its offset, 0 if there is none.

    `DAMAGED` if all must be read again: a read_committed consumer would be shown what a damaged transaction index forgot.
    """
    for offset in reversed(log.sidecars(SidecarKind.PRODUCER_SNAPSHOT)):
        states = (
            ProducerStates.decode_snapshot(log.get_sidecar(SidecarKind.PRODUCER_SNAPSHOT, offset))
            if offset <= log.end_offset
            else None
        )
        if states is not None:
            aborted = _load_aborted(log)
            if aborted is None:
                return DAMAGED
            state.load(states, offset, aborted)
            return offset
        log.delete_sidecar(SidecarKind.PRODUCER_SNAPSHOT, offset)
    return 0


def _load_aborted(log: PartitionLog) -> list[AbortedTransaction] | None:
    """Aborted transactions of all segments, None if an index is damaged."""
    entries: list[AbortedTransaction] = []
    for base_offset in log.sidecars(SidecarKind.TRANSACTION_INDEX):
        try:
            entries += decode_index(log.get_sidecar(SidecarKind.TRANSACTION_INDEX, base_offset))
        except ValueError:
            log.delete_sidecar(SidecarKind.TRANSACTION_INDEX, base_offset)
            return None
    return entries
