"""Idempotence: per producer id the epoch and the last five batches, so that a retry is recognised and a gap refused.

Sources: KIP-98; Kafka's `ProducerStateManager` and `ProducerAppendInfo`, 4.1. Snapshot file: `ProducerSnapshot.json`, version 1.
Transactions are begun and ended here, since their state is part of a producer's; what they mean for readers is in `transactions`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from crc32c import crc32c

from mainstem.core.log.transactions import CompletedTransaction, Marker
from mainstem.core.log.verification import Admission, Verification
from mainstem.model.batch import BatchHeader
from mainstem.model.errors import ErrorCode

BATCHES_KEPT = 5
SEQUENCE_MASK = 0x7FFFFFFF
SNAPSHOT_VERSION = 1
_SNAPSHOT_HEAD = struct.Struct(">hIi")
_SNAPSHOT_ENTRY = struct.Struct(">qhiqiqiq")


class KeptBatch(NamedTuple):
    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int


class LastBatch(NamedTuple):
    """Of a producer: its epoch, and the last offset of its records; -1 if only a marker is known of it."""

    epoch: int
    last_offset: int


class SavedProducer(NamedTuple):
    """What `ProducerStates.restore` needs of an entry that `follow` changed."""

    batches: list[KeptBatch]
    last_timestamp: int


class ProducerEntry:
    """One producer id's state; `batches` oldest first, at most five.

    `current_txn_first_offset` is -1 outside a transaction, `coordinator_epoch` that of the last marker.
    """

    __slots__ = ("batches", "coordinator_epoch", "current_txn_first_offset", "epoch", "last_timestamp")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches: list[KeptBatch] = []
        self.coordinator_epoch = -1
        self.current_txn_first_offset = -1
        self.last_timestamp = -1


class ProducerStates:
    """All producers of one partition. Changed by `apply` and `expire` only, but for `verifications`, which no log keeps."""

    __slots__ = ("entries", "verifications")

    def __init__(self) -> None:
        self.entries: dict[int, ProducerEntry] = {}
        self.verifications: dict[int, Verification] = {}

    def check(
        self, header: BatchHeader, *, from_client: bool = True, admission: Admission | None = None
    ) -> ErrorCode | KeptBatch:
        """NONE if the batch may be appended, the kept batch if it is a retry of one, else why it is refused.

        Sequences are those of clients; what coordinators write has none. `admission` of a transactional batch, None if the
        caller vouches for it.
        """
        producer_id, epoch = header.producer_id, header.producer_epoch
        entry = self.entries.get(producer_id)
        if from_client and entry is not None and entry.epoch == epoch:
            last_sequence = header.last_sequence
            for kept in entry.batches:
                if kept.first_sequence == header.base_sequence and kept.last_sequence == last_sequence:
                    return kept
        if header.is_transactional and admission is not None and not self._admits(producer_id, epoch, admission):
            return ErrorCode.INVALID_TXN_STATE
        if entry is not None and epoch < entry.epoch:
            return ErrorCode.INVALID_PRODUCER_EPOCH
        if from_client and not self._is_in_sequence(header, entry):
            return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        if entry is not None and entry.current_txn_first_offset >= 0 and not header.is_transactional:
            return ErrorCode.INVALID_TXN_STATE
        return ErrorCode.NONE

    def _admits(self, producer_id: int, epoch: int, admission: Admission) -> bool:
        if not admission.is_required or self.has_ongoing_transaction(producer_id, epoch):
            return True
        verification = admission.verification
        return verification is not None and self.verifications.get(producer_id) is verification

    def _is_in_sequence(self, header: BatchHeader, entry: ProducerEntry | None) -> bool:
        sequence = header.base_sequence
        verification = self.verifications.get(header.producer_id)
        is_empty = entry is None or not entry.batches
        if verification is not None and (
            sequence > verification.lowest_sequence or (verification.supports_epoch_bump and is_empty and sequence)
        ):
            return False
        if entry is None:
            # Any first sequence of an unknown producer will do: its state may have expired.
            return True
        if header.producer_epoch != entry.epoch or not entry.batches:
            return sequence == 0
        return sequence == (entry.batches[-1].last_sequence + 1) & SEQUENCE_MASK

    def has_ongoing_transaction(self, producer_id: int, epoch: int) -> bool:
        entry = self.entries.get(producer_id)
        return entry is not None and entry.epoch == epoch and entry.current_txn_first_offset >= 0

    def start_verification(
        self, producer_id: int, sequence: int, epoch: int, now_ms: int, *, supports_epoch_bump: bool
    ) -> Verification | ErrorCode:
        """NONE if the log has the transaction already. Else what to append with once the coordinator has agreed, or an error."""
        entry = self.entries.get(producer_id)
        if entry is not None and epoch < entry.epoch:
            return ErrorCode.INVALID_PRODUCER_EPOCH
        if self.has_ongoing_transaction(producer_id, epoch):
            return ErrorCode.NONE
        verification = self.verifications.get(producer_id)
        if verification is None:
            verification = Verification(sequence, epoch, now_ms, supports_epoch_bump=supports_epoch_bump)
            self.verifications[producer_id] = verification
        else:
            verification.note(sequence, epoch)
        return verification

    def check_marker(self, header: BatchHeader, marker: Marker) -> ErrorCode:
        """NONE if the marker may be appended; an older producer or coordinator is fenced."""
        entry = self.entries.get(header.producer_id)
        if entry is None:
            return ErrorCode.NONE
        if header.producer_epoch < entry.epoch:
            return ErrorCode.INVALID_PRODUCER_EPOCH
        if marker.coordinator_epoch < entry.coordinator_epoch:
            return ErrorCode.TRANSACTION_COORDINATOR_FENCED
        return ErrorCode.NONE

    def apply(self, header: BatchHeader, base_offset: int, now_ms: int) -> None:
        """Note a batch of records that was appended at `base_offset`."""
        entry = self.entries.get(header.producer_id)
        if entry is None:
            entry = self.entries[header.producer_id] = ProducerEntry(header.producer_epoch)
        elif entry.epoch != header.producer_epoch:
            entry.epoch = header.producer_epoch
            entry.batches.clear()
        last_offset = base_offset + header.last_offset_delta
        kept = KeptBatch(header.base_sequence, header.last_sequence, base_offset, last_offset)
        entry.batches.append(kept)
        if len(entry.batches) > BATCHES_KEPT:
            del entry.batches[0]
        entry.last_timestamp = now_ms

    def begin_transaction(self, producer_id: int, base_offset: int) -> bool:
        """After `apply` of a transactional batch; False if the producer's transaction was open already."""
        entry = self.entries[producer_id]
        self.verifications.pop(producer_id, None)
        if entry.current_txn_first_offset >= 0:
            return False
        entry.current_txn_first_offset = base_offset
        return True

    def apply_marker(
        self, header: BatchHeader, marker: Marker, offset: int, now_ms: int
    ) -> CompletedTransaction | None:
        """Note a marker that was appended at `offset`; None if its producer had written nothing since the last one."""
        entry = self.entries.get(header.producer_id)
        if entry is None:
            entry = self.entries[header.producer_id] = ProducerEntry(header.producer_epoch)
        elif entry.epoch != header.producer_epoch:
            entry.epoch = header.producer_epoch
            entry.batches.clear()
        verification = self.verifications.get(header.producer_id)
        if verification is not None and not (
            verification.supports_epoch_bump and verification.epoch == header.producer_epoch
        ):
            # With an epoch of its own a transaction that waits is the one after this marker, not the one it ends.
            del self.verifications[header.producer_id]
        first_offset, entry.current_txn_first_offset = entry.current_txn_first_offset, -1
        entry.coordinator_epoch = marker.coordinator_epoch
        entry.last_timestamp = now_ms
        if first_offset < 0:
            return None
        return CompletedTransaction(header.producer_id, first_offset, offset, not marker.is_commit)

    def last_batches(self) -> dict[int, LastBatch]:
        """Of every producer that is known now: what compaction must not take away from under it."""
        return {
            producer_id: LastBatch(entry.epoch, entry.batches[-1].last_offset if entry.batches else -1)
            for producer_id, entry in self.entries.items()
        }

    def follow(
        self,
        producer_id: int,
        epoch: int,
        base_sequence: int,
        last_offset_delta: int,
        base_offset: int,
        now_ms: int,
        saved: dict[int, SavedProducer],
    ) -> bool:
        """Note a batch that simply continues what its producer wrote last; False, and nothing is noted, if it does not.

        `check` and `apply` in one, for the common case. What was there before is put into `saved` once per producer.
        """
        entry = self.entries.get(producer_id)
        if (
            entry is None
            or entry.epoch != epoch
            or not entry.batches
            or base_sequence < 0
            or entry.current_txn_first_offset >= 0
        ):
            return False
        batches = entry.batches
        if base_sequence != (batches[-1].last_sequence + 1) & SEQUENCE_MASK:
            return False
        if producer_id not in saved:
            saved[producer_id] = SavedProducer(batches.copy(), entry.last_timestamp)
        batches.append(
            KeptBatch(
                base_sequence,
                (base_sequence + last_offset_delta) & SEQUENCE_MASK,
                base_offset,
                base_offset + last_offset_delta,
            )
        )
        if len(batches) > BATCHES_KEPT:
            del batches[0]
        entry.last_timestamp = now_ms
        return True

    def restore(self, saved: Mapping[int, SavedProducer]) -> None:
        """The batches that `follow` noted were not written after all."""
        for producer_id, before in saved.items():
            entry = self.entries[producer_id]
            entry.batches, entry.last_timestamp = before.batches, before.last_timestamp

    def expire(self, older_than_ms: int) -> None:
        """Forget producers without an open transaction that were last seen before `older_than_ms`."""
        for producer_id, entry in list(self.entries.items()):
            if entry.last_timestamp < older_than_ms and entry.current_txn_first_offset < 0:
                del self.entries[producer_id]
        for producer_id, verification in list(self.verifications.items()):
            if verification.since_ms < older_than_ms:
                del self.verifications[producer_id]

    def encode_snapshot(self) -> bytes:
        """Kafka's file: version, CRC-32C of what follows, entries with the last batch only."""
        rows = []
        for producer_id, entry in sorted(self.entries.items()):
            last = entry.batches[-1] if entry.batches else KeptBatch(-1, -1, -1, -1)
            rows.append(
                _SNAPSHOT_ENTRY.pack(
                    producer_id,
                    entry.epoch,
                    last.last_sequence,
                    last.last_offset,
                    last.last_offset - last.first_offset,
                    entry.last_timestamp,
                    entry.coordinator_epoch,
                    entry.current_txn_first_offset,
                )
            )
        body = struct.pack(">i", len(rows)) + b"".join(rows)
        return struct.pack(">hI", SNAPSHOT_VERSION, crc32c(body)) + body

    @classmethod
    def decode_snapshot(cls, content: bytes) -> ProducerStates | None:
        """None if the file is damaged: an older one, or the log itself, is used instead."""
        if len(content) < _SNAPSHOT_HEAD.size:
            return None
        version, crc, count = _SNAPSHOT_HEAD.unpack_from(content)
        if version != SNAPSHOT_VERSION or crc != crc32c(content[6:]):
            return None
        if len(content) != _SNAPSHOT_HEAD.size + count * _SNAPSHOT_ENTRY.size:
            return None
        states = cls()
        for row in _SNAPSHOT_ENTRY.iter_unpack(content[_SNAPSHOT_HEAD.size :]):
            producer_id, epoch, sequence, offset, delta, timestamp, coordinator_epoch, txn_first = row
            entry = states.entries[producer_id] = ProducerEntry(epoch)
            entry.coordinator_epoch = coordinator_epoch
            entry.current_txn_first_offset = txn_first
            entry.last_timestamp = timestamp
            if sequence >= 0:
                first = (sequence - delta) & SEQUENCE_MASK
                entry.batches.append(KeptBatch(first, sequence, offset - delta, offset))
        return states
