"""Aborted transactions of one log: what a read_committed consumer must skip.

    offsets    0   1   2   3   4   5          entry of producer 7 (first 1, marker at 4; producer 9 is still open from 3)
    producer   9c  7   7   9   7A  ...   ->   first_offset 1, last_offset 4, last_stable_offset 3

Source: Kafka's `AbortedTxn` and `TransactionIndex`, 4.1.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

ENTRY_VERSION = 0
_ENTRY = struct.Struct(">hqqqq")
ENTRY_BYTES = _ENTRY.size


class AbortedTransaction(NamedTuple):
    """`last_offset` is that of the abort marker; `last_stable_offset` what it was once this transaction had ended."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class AbortedTransactions:
    """In the order of their markers; `last_offset` and `last_stable_offset` ascend. Four integers (32 bytes) an entry."""

    __slots__ = ("_first", "_last", "_producers", "_stable")

    def __init__(self, entries: Iterable[AbortedTransaction] = ()) -> None:
        self._producers = array("q")
        self._first = array("q")
        self._last = array("q")
        self._stable = array("q")
        for entry in entries:
            self.add(entry)

    def __len__(self) -> int:
        return len(self._last)

    def __iter__(self) -> Iterator[AbortedTransaction]:
        return map(AbortedTransaction, self._producers, self._first, self._last, self._stable)

    def add(self, entry: AbortedTransaction) -> None:
        assert not self._last or entry.last_offset > self._last[-1], (
            "aborted transactions come in order of their markers"
        )
        self._producers.append(entry.producer_id)
        self._first.append(entry.first_offset)
        self._last.append(entry.last_offset)
        self._stable.append(entry.last_stable_offset)

    def overlapping(self, offset: int, end_offset: int) -> list[AbortedTransaction]:
        """Those with records or marker in [offset, end_offset), for the answer to a read of that range."""
        found = []
        for slot in range(bisect_left(self._last, offset), len(self._last)):
            if self._first[slot] < end_offset:
                found.append(self._at(slot))
            if self._stable[slot] >= end_offset:
                # Whatever ends later began at or after this point.
                break
        return found

    def _at(self, slot: int) -> AbortedTransaction:
        return AbortedTransaction(self._producers[slot], self._first[slot], self._last[slot], self._stable[slot])

    def between(self, base_offset: int, end_offset: int) -> list[AbortedTransaction]:
        """Those whose marker is in [base_offset, end_offset): the contents of one segment's index."""
        slots = range(bisect_left(self._last, base_offset), bisect_left(self._last, end_offset))
        return [self._at(slot) for slot in slots]

    def replace_between(self, base_offset: int, end_offset: int, entries: Sequence[AbortedTransaction]) -> None:
        """Compaction left these of the entries whose marker is in [base_offset, end_offset)."""
        before, after = self.between(0, base_offset), self.between(end_offset, 1 << 62)
        self._delete(0, len(self._last))
        for entry in (*before, *entries, *after):
            self.add(entry)

    def truncate_from_end(self, end_offset: int) -> None:
        """Forget what ended at or after `end_offset`."""
        self._delete(bisect_left(self._last, end_offset), len(self._last))

    def truncate_from_start(self, start_offset: int) -> None:
        """Forget what ended before `start_offset`: nobody reads there any more."""
        self._delete(0, bisect_left(self._last, start_offset))

    def _delete(self, low: int, high: int) -> None:
        for column in (self._producers, self._first, self._last, self._stable):
            del column[low:high]


def encode_index(entries: Iterable[AbortedTransaction]) -> bytes:
    """Kafka's `.txnindex`: 34 bytes an entry."""
    return b"".join(_ENTRY.pack(ENTRY_VERSION, *entry) for entry in entries)


def decode_index(content: bytes) -> list[AbortedTransaction]:
    """Raises: ValueError if the file is damaged; it is rebuilt from the segment's batches then."""
    if len(content) % ENTRY_BYTES:
        raise ValueError(f"a transaction index has a multiple of {ENTRY_BYTES} bytes, this one has {len(content)}")
    entries: list[AbortedTransaction] = []
    last_offset = -1
    for version, producer_id, first_offset, marker_offset, last_stable_offset in _ENTRY.iter_unpack(content):
        if version != ENTRY_VERSION or marker_offset <= last_offset or first_offset > marker_offset:
            raise ValueError(f"entry {len(entries)} of a transaction index is damaged")
        last_offset = marker_offset
        entries.append(AbortedTransaction(producer_id, first_offset, marker_offset, last_stable_offset))
    return entries
