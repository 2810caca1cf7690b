"""The small files beside a partition's segments: when they are written, and when they go."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.api.storage import PartitionLog, SidecarKind
from mainstem.core.log.aborted import encode_index
from mainstem.core.log.state import LogState


def write_snapshot(log: PartitionLog, state: LogState, end_offset: int) -> None:
    """Empty ones, too: recovery starts at a snapshot, and without any it reads the whole log."""
    log.put_sidecar(SidecarKind.PRODUCER_SNAPSHOT, end_offset, state.producers.encode_snapshot())


def write_index(log: PartitionLog, state: LogState, active_base: int, end_offset: int) -> None:
    """Of the active segment, before it is closed."""
    entries = state.transactions.aborted.between(active_base, end_offset)
    if entries:
        log.put_sidecar(SidecarKind.TRANSACTION_INDEX, active_base, encode_index(entries))


def write_at_close(log: PartitionLog, state: LogState, active_base: int, end_offset: int) -> None:
    """A log that no producer with an id ever wrote to gets none; the next start has nothing to learn from it."""
    write_index(log, state, active_base, end_offset)
    if state.producers.entries or state.transactions.aborted or log.sidecars(SidecarKind.PRODUCER_SNAPSHOT):
        write_snapshot(log, state, end_offset)


def delete_below(log: PartitionLog, state: LogState, start_offset: int, gone: Sequence[int]) -> None:
    """The segments `gone` went. The newest snapshot stays, however old it is: recovery may begin there."""
    for offset in log.sidecars(SidecarKind.PRODUCER_SNAPSHOT)[:-1]:
        if offset < start_offset:
            log.delete_sidecar(SidecarKind.PRODUCER_SNAPSHOT, offset)
    if state.transactions.aborted:
        for base_offset in gone:
            log.delete_sidecar(SidecarKind.TRANSACTION_INDEX, base_offset)
