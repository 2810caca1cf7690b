"""Which stored batches are good after a crash, and what they say about producers, transactions and leader epochs.

Source: Kafka's `LogSegment.recover` and `LogLoader`, 4.1 (research: broker.md 5.3).
"""

from __future__ import annotations

from mainstem.core.log.state import LogState
from mainstem.model.batch import MAGIC, BatchHeader, crc_matches
from mainstem.model.compression import CorruptRecords


class RecoveryWalk:
    """Handed to `PartitionLog.recover` as `accept`: called once per stored batch, in order.

    `next_offset` follows the last good batch, -1 before the first; `refusal` says why a batch was refused, empty if none was.

    A gap between batches means that a closed segment lost its unsynced end while a newer one survived: everything after the
    gap goes. Only compaction leaves gaps on purpose (`gaps_allowed`), and its topics sync a segment before the next begins.
    """

    def __init__(self, state: LogState, producers_from: int, now_ms: int, *, gaps_allowed: bool = False) -> None:
        self.state = state
        self.batches_read = 0
        self.next_offset = -1
        self.refusal = ""
        self._producers_from = producers_from
        self._now_ms = now_ms
        self._gaps_allowed = gaps_allowed

    def accept(self, header: BatchHeader, data: memoryview) -> bool:
        """False: this batch and everything after it must go."""
        self.refusal = self._problem(header, data)
        if self.refusal:
            return False
        if header.leader_epoch >= 0:
            self.state.epochs.assign(header.leader_epoch, header.base_offset)
        if header.producer_id >= 0 and header.base_offset >= self._producers_from:
            try:
                self.state.apply(header, data, header.base_offset, self._now_ms)
            except CorruptRecords as error:
                self.refusal = f"the control batch at offset {header.base_offset} cannot be read: {error}"
                return False
        self.next_offset = header.next_offset
        self.batches_read += 1
        return True

    def _problem(self, header: BatchHeader, data: memoryview) -> str:
        """Empty if the batch is good."""
        if header.magic != MAGIC or header.last_offset_delta < 0:
            return f"there is no record batch at offset {self.next_offset}"
        if header.base_offset < self.next_offset:
            return f"the batch at offset {header.base_offset} comes after offset {self.next_offset - 1}"
        if self.next_offset >= 0 and header.base_offset != self.next_offset and not self._gaps_allowed:
            return f"offsets {self.next_offset} to {header.base_offset - 1} are missing"
        if not crc_matches(data, 0, header):
            return f"the batch at offset {header.base_offset} does not match its CRC"
        return ""
