"""From stored files to a log that can be served: sidecars read, state rebuilt, what a crash left behind cut off.

Source: Kafka's `LogLoader` and `ProducerStateManager.truncateAndReload`, 4.1 (research: broker.md 5.3). Blocking.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mainstem.api.storage import LogStore, PartitionLog, SidecarKind
from mainstem.core.log.aborted import AbortedTransaction, decode_index
from mainstem.core.log.epochs import LeaderEpochs
from mainstem.core.log.producer_state import ProducerStates
from mainstem.core.log.recovery import RecoveryWalk
from mainstem.core.log.state import LogState
from mainstem.model.batch import BatchHeader, iterate
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import StorageError
from mainstem.model.ids import TopicId, TopicPartition

DAMAGED = -1
CLEANER_CHECKPOINT = "cleaner-offset-checkpoint"
EPOCH_CHUNK_BYTES = 1 << 20


class LogCut(NamedTuple):
    """What recovery took away: `bytes` and the offsets from `end_offset` to below `end_offset_before`, as far as they are known."""

    bytes: int
    end_offset: int
    end_offset_before: int
    reason: str


class OpenedLog(NamedTuple):
    log: PartitionLog
    state: LogState
    batches_read: int
    cut: LogCut | None = None


def open_log(
    store: LogStore, partition: TopicPartition, topic_id: TopicId, config: TopicConfig, now_ms: int
) -> OpenedLog:
    """After a clean stop: only what no snapshot covers is read. Raises: StorageError."""
    log = store.open_log(partition, topic_id, index_interval_bytes=config.index_interval_bytes)
    epochs = _load_epochs(log)
    state = LogState(epochs=epochs)
    snapshot = _load_snapshot(log, state, log.end_offset)
    batches_read = 0
    if snapshot != 0 and snapshot < log.end_offset:
        walk = RecoveryWalk(state, snapshot, now_ms, gaps_allowed=_may_have_gaps(store, partition, config))
        log.recover(max(snapshot, 0), walk.accept)
        batches_read = walk.batches_read
    if epochs is None:
        _rebuild_epochs(log, state.epochs)
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

    Everything below the recovery point was flushed, producer snapshots up to it as well; a newer snapshot may speak of batches
    that never reached the disk. Raises: StorageError.
    """
    log = store.open_log(partition, topic_id, index_interval_bytes=config.index_interval_bytes)
    bytes_before, end_before = log.size, log.end_offset
    epochs = _load_epochs(log)
    state = LogState(epochs=epochs)
    snapshot = _load_snapshot(log, state, recovery_point)
    state.epochs.truncate_from_end(end_before)
    walk = RecoveryWalk(state, snapshot, now_ms, gaps_allowed=_may_have_gaps(store, partition, config))
    log.recover(max(0, min(recovery_point, snapshot)), walk.accept)
    if not config.is_compacted and 0 <= walk.next_offset < log.end_offset:
        # An empty segment survived whose predecessor lost its end; offsets go on where the records do.
        log.truncate(walk.next_offset)
    state.epochs.truncate_from_end(log.end_offset)
    if epochs is None:
        _rebuild_epochs(log, state.epochs)
    for offset in log.sidecars(SidecarKind.PRODUCER_SNAPSHOT):
        if offset > log.end_offset:
            log.delete_sidecar(SidecarKind.PRODUCER_SNAPSHOT, offset)
    cut = _what_was_cut(log, bytes_before, end_before, recovery_point, walk.refusal)
    if log.end_offset != recovery_point or cut is not None:
        log.flush()
    return OpenedLog(log, state, walk.batches_read, cut)


def _may_have_gaps(store: LogStore, partition: TopicPartition, config: TopicConfig) -> bool:
    """Compaction leaves some, and they stay when the topic's policy becomes `delete`."""
    if config.is_compacted:
        return True
    try:
        return store.read_checkpoint(CLEANER_CHECKPOINT).get(partition, 0) > 0
    except StorageError:
        return False


def _what_was_cut(
    log: PartitionLog, bytes_before: int, end_before: int, recovery_point: int, refusal: str
) -> LogCut | None:
    end = log.end_offset
    if log.size == bytes_before and end >= recovery_point:
        return None
    reason = refusal or "the last batch is incomplete"
    if end < recovery_point:
        reason += f"; everything below offset {recovery_point} had been flushed, so the disk lost or changed it"
    return LogCut(bytes_before - log.size, end, max(end, end_before, recovery_point), reason)


def _load_epochs(log: PartitionLog) -> LeaderEpochs | None:
    """None: missing or damaged; the batches know their epochs."""
    if log.sidecars(SidecarKind.LEADER_EPOCHS):
        try:
            return LeaderEpochs.decode(log.get_sidecar(SidecarKind.LEADER_EPOCHS, 0))
        except (ValueError, IndexError):
            pass  # damaged
    return None


def _rebuild_epochs(log: PartitionLog, epochs: LeaderEpochs) -> None:
    """From the batches. A closed segment is read only if the next one begins in another epoch than it does."""
    segments = [segment.base_offset for segment in log.segments() if segment.size]
    found, end = LeaderEpochs(), log.end_offset
    firsts = [next(_headers(log, base, end), None) for base in segments]
    for slot, (base, first) in enumerate(zip(segments, firsts, strict=True)):
        following = firsts[slot + 1] if slot + 1 < len(firsts) else None
        if first is None:
            continue
        found.assign(first.leader_epoch, first.base_offset)
        if following is not None and following.leader_epoch == first.leader_epoch:
            continue
        for header in _headers(log, base, segments[slot + 1] if slot + 1 < len(segments) else end):
            found.assign(header.leader_epoch, header.base_offset)
    found.entries = [entry for entry in found.entries if entry.epoch >= 0]
    epochs.entries = found.entries
    if epochs.entries:
        log.put_sidecar(SidecarKind.LEADER_EPOCHS, 0, epochs.encode())


def _headers(log: PartitionLog, offset: int, end: int) -> Iterator[BatchHeader]:
    """Of all batches from `offset` to below `end`."""
    while offset < end:
        batches = list(iterate(log.read(offset, end, EPOCH_CHUNK_BYTES)))
        for _, header in batches:
            yield header
        if not batches:
            return
        offset = batches[-1][1].next_offset


def _load_snapshot(log: PartitionLog, state: LogState, up_to: int) -> int:
    """The newest whole snapshot that is not above `up_to`; returns its offset, 0 if there is none. Damaged ones go.

    `DAMAGED` if all must be read again: a read_committed consumer would be shown what a damaged transaction index forgot.
    """
    for offset in reversed(log.sidecars(SidecarKind.PRODUCER_SNAPSHOT)):
        if offset > up_to:
            continue
        states = ProducerStates.decode_snapshot(log.get_sidecar(SidecarKind.PRODUCER_SNAPSHOT, offset))
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
