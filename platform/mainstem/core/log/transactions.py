"""Transactions as one log shows them: which are open, which ended but are not committed to all replicas, what was aborted.

    offset   0     1     2     3     4              high watermark 4
    batch    P7    P9    P7    P7    P9
             data  data  data  ABORT data           open: P9 from 1     ended: P7 0..3, until the high watermark passes 3
    last stable offset = min(first open 1, first ended with its marker at or above the high watermark: none, 4) = 1

Sources: KIP-98; Kafka's `ProducerStateManager`, `ProducerAppendInfo`, `ControlRecordType` and `EndTransactionMarker`, 4.1.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from mainstem.core.log.aborted import AbortedTransaction, AbortedTransactions
from mainstem.model import records, records_pure
from mainstem.model.batch import CONTROL_BIT, TRANSACTIONAL_BIT, BatchHeader, iterate
from mainstem.model.columns import Columns
from mainstem.model.compression import CorruptRecords

ABORT, COMMIT = 0, 1
_KEY = struct.Struct(">hh")
_VALUE = struct.Struct(">hi")


class Marker(NamedTuple):
    """What a control batch says about its producer's transaction."""

    is_commit: bool
    coordinator_epoch: int


class CompletedTransaction(NamedTuple):
    """`last_offset` is that of the marker."""

    producer_id: int
    first_offset: int
    last_offset: int
    is_aborted: bool


def read_marker(header: BatchHeader, batch: bytes | bytearray | memoryview) -> Marker | None:
    """None for control records of other kinds, and for a control batch that compaction has emptied.

    Raises: CorruptRecords.
    """
    columns = Columns(offsets=[], timestamps=[], keys=[], values=[], headers=[])
    records_pure.decode_batch(bytes(batch), header, columns)
    if not columns.keys:
        return None
    key, value = columns.keys[0], columns.values[0]
    if key is None or len(key) < _KEY.size:
        raise CorruptRecords("the key of a control record is cut off")
    kind = _KEY.unpack_from(key)[1]
    if kind not in (ABORT, COMMIT):
        return None
    if value is None or len(value) < _VALUE.size:
        raise CorruptRecords("the value of a transaction marker is cut off")
    return Marker(kind == COMMIT, _VALUE.unpack_from(value)[1])


def build_marker(
    producer_id: int, producer_epoch: int, timestamp: int, *, is_commit: bool, coordinator_epoch: int
) -> bytes:
    """A control batch that ends a producer's transaction, with base offset 0. `timestamp` in ms."""
    return records.encode(
        [_KEY.pack(0, COMMIT if is_commit else ABORT)],
        [_VALUE.pack(0, coordinator_epoch)],
        [timestamp],
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        attributes=TRANSACTIONAL_BIT | CONTROL_BIT,
    )


class Transactions:
    """`open`: first offset -> producer id, in order of first offsets. `ended`: first offset -> offset of the marker."""

    __slots__ = ("aborted", "ended", "open")

    def __init__(self) -> None:
        self.open: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        self.aborted = AbortedTransactions()

    def begin(self, producer_id: int, first_offset: int) -> None:
        self.open[first_offset] = producer_id

    def complete(self, completed: CompletedTransaction) -> None:
        """A marker was appended. An aborted transaction is noted with the last stable offset of this moment."""
        self.open.pop(completed.first_offset, None)
        self.ended[completed.first_offset] = completed.last_offset
        if completed.is_aborted:
            stable = next(iter(self.open), completed.last_offset + 1)
            self.aborted.add(AbortedTransaction(*completed[:3], stable))

    def last_stable_offset(self, high_watermark: int) -> int:
        """Records below it are decided for good. Never above the high watermark."""
        if not self.open and not self.ended:
            return high_watermark
        stable = min(high_watermark, next(iter(self.open), high_watermark))
        for first_offset, marker_offset in self.ended.items():
            if marker_offset >= high_watermark:
                stable = min(stable, first_offset)
        return stable

    def advance(self, high_watermark: int) -> None:
        """Forget ended transactions whose marker every replica has."""
        if self.ended:
            self.ended = {first: last for first, last in self.ended.items() if last >= high_watermark}

    def aborted_in(self, data: bytes | bytearray | memoryview, offset: int) -> list[tuple[int, int]]:
        """(producer id, first offset) of what a reader must skip in these batches, which were read from `offset` on."""
        end = offset
        for _, header in iterate(data):
            end = header.next_offset
        return [(entry.producer_id, entry.first_offset) for entry in self.aborted.overlapping(offset, end)]

    def load(self, open_first_offsets: Sequence[tuple[int, int]], aborted: Sequence[AbortedTransaction]) -> None:
        """From a producer snapshot, (first offset, producer id) each, and the indexes of all segments in their order."""
        self.open = dict(sorted(open_first_offsets))
        self.ended = {}
        self.aborted = AbortedTransactions(aborted)

    def truncate_from_start(self, start_offset: int) -> None:
        """The log begins at `start_offset` now."""
        self.aborted.truncate_from_start(start_offset)
        self.ended = {first: last for first, last in self.ended.items() if last >= start_offset}
