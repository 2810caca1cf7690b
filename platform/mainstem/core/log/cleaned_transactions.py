"""Transactions as the cleaner meets them, batch by batch: which records were aborted, and which markers nobody needs any more.

A marker may go once no batch of its transaction was met; until then a read_committed reader needs it to know where to stop.
Source: Kafka's `CleanedTransactionMetadata`, 4.1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mainstem.core.log.aborted import AbortedTransaction
from mainstem.core.log.transactions import read_marker
from mainstem.model.batch import BatchHeader


class CleanedTransactions:
    """Shown every batch of one pass in order. `kept` are the aborted transactions whose index entries must stay."""

    __slots__ = ("_aborted", "_committed", "_waiting", "kept")

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        self._waiting = deque(sorted(aborted, key=lambda entry: entry.first_offset))
        self._aborted: dict[int, tuple[AbortedTransaction, bool]] = {}
        self._committed: set[int] = set()
        self.kept: list[AbortedTransaction] = []

    def meet(self, header: BatchHeader, batch: bytes | memoryview) -> bool:
        """Whether the batch's records, or the marker, have no meaning any more. Raises: CorruptRecords."""
        while self._waiting and self._waiting[0].first_offset <= header.last_offset:
            entry = self._waiting.popleft()
            self._aborted.setdefault(entry.producer_id, (entry, False))
        if header.is_control:
            return self._meet_marker(header, batch)
        if not header.is_transactional:
            return False
        found = self._aborted.get(header.producer_id)
        if found is None:
            self._committed.add(header.producer_id)
            return False
        self._aborted[header.producer_id] = (found[0], True)
        return True

    def _meet_marker(self, header: BatchHeader, batch: bytes | memoryview) -> bool:
        if header.records_count == 0:
            return True
        marker = read_marker(header, batch)
        if marker is None:
            return False
        producer_id = header.producer_id
        if marker.is_commit:
            met_records = producer_id in self._committed
            self._committed.discard(producer_id)
            return not met_records
        found = self._aborted.pop(producer_id, None)
        if found is None or not found[1]:
            return True
        self.kept.append(found[0])
        return False
