"""What the batches of one log say beside their records: producers and their sequences, transactions, and who led when."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.core.log.aborted import AbortedTransaction
from mainstem.core.log.epochs import LeaderEpochs
from mainstem.core.log.producer_state import ProducerStates
from mainstem.core.log.transactions import Transactions, read_marker
from mainstem.model.batch import CONTROL_BIT, TRANSACTIONAL_BIT, BatchHeader

_TRANSACTION_BITS = TRANSACTIONAL_BIT | CONTROL_BIT


class LogState:
    """Rebuilt from sidecars and batches when a log is opened (`runtime.partition_opening`), then kept by its partition.

    To rebuild: `load` the newest producer snapshot and the transaction indexes, then `apply` every batch from the snapshot's
    offset on. There is no way back; after a truncation it is rebuilt.
    """

    __slots__ = ("epochs", "producers", "transactions")

    def __init__(self, producers: ProducerStates | None = None, epochs: LeaderEpochs | None = None) -> None:
        self.producers = producers or ProducerStates()
        self.epochs = epochs or LeaderEpochs()
        self.transactions = Transactions()

    def load(self, producers: ProducerStates, offset: int, aborted: Sequence[AbortedTransaction]) -> None:
        """`producers` as of `offset`; of `aborted`, all segments' in order, what ended later comes again from the batches."""
        self.producers = producers
        entries = producers.entries.items()
        still_open = [(e.current_txn_first_offset, pid) for pid, e in entries if e.current_txn_first_offset >= 0]
        self.transactions.load(still_open, [entry for entry in aborted if entry.last_offset < offset])

    def apply(self, header: BatchHeader, batch: bytes | memoryview, base_offset: int, now_ms: int) -> None:
        """Note a batch with a producer id that was appended at `base_offset`, which `header` need not say yet.

        Raises: CorruptRecords if it is a control batch that does not decode.
        """
        if not header.attributes & _TRANSACTION_BITS:
            self.producers.apply(header, base_offset, now_ms)
        elif header.is_control:
            marker = read_marker(header, batch)
            completed = marker and self.producers.apply_marker(header, marker, base_offset, now_ms)
            if completed:
                self.transactions.complete(completed)
        else:
            self.producers.apply(header, base_offset, now_ms)
            if self.producers.begin_transaction(header.producer_id, base_offset):
                self.transactions.begin(header.producer_id, base_offset)

    def truncate_from_start(self, start_offset: int) -> None:
        """The log begins at `start_offset` now."""
        self.epochs.truncate_from_start(start_offset)
        self.transactions.truncate_from_start(start_offset)
