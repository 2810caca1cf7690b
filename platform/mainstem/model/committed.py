"""What a reader of committed records sees of batches that hold aborted ones as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mainstem.model.batch import iterate


class CommittedBatches(NamedTuple):
    """`next_offset` is behind the last batch, whether it is among `data` or not."""

    data: bytes
    next_offset: int


def without_aborted(data: bytes | memoryview, aborted: Sequence[tuple[int, int]]) -> CommittedBatches:
    """Leave out batches of aborted transactions, given as (producer id, first offset) in order of offset, as Fetch answers
    them. Markers stay, and decoding leaves them out.

    Source: KIP-98; Kafka's `CompletedFetch.nextFetchedRecord`.
    """
    waiting = sorted(aborted, key=lambda one: one[1])
    active: set[int] = set()
    kept: list[memoryview] = []
    next_offset = 0
    view = memoryview(data)
    for position, header in iterate(data):
        next_offset = header.next_offset
        while waiting and waiting[0][1] <= header.last_offset:
            active.add(waiting.pop(0)[0])
        if header.is_control:
            # The marker of an aborted transaction ends it; one of a commit has no entry to end.
            active.discard(header.producer_id)
        elif header.is_transactional and header.producer_id in active:
            continue
        kept.append(view[position : position + header.size])
    return CommittedBatches(b"".join(kept), next_offset)
