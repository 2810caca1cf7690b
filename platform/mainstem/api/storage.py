"""The storage port: bytes and offsets, nothing else. One `LogStore` per log directory, one `PartitionLog` per partition.

    append [0..9] [10..19] [20..31]      roll before 20        truncate(20)           delete_before(10)
    ┌──────┬────────┬────────┐           ┌───────────────┐┌──────┐   ┌───────────────┐     ┌────────┬──────┐
    │ 0..9 │ 10..19 │ 20..31 │    ->     │ 0..9 │ 10..19 ││20..31│   │ 0..9 │ 10..19 │     │ 10..19 │20..31│
    └──────┴────────┴────────┘           └───────────────┘└──────┘   └───────────────┘     └────────┴──────┘

A store never decides: which offset comes next, when to roll, what to delete and how far to cut is said by the caller.
It keeps whole batches in the order given. After a crash, `open_log` returns a log whose tail may be torn or missing down to
the last completed `flush`; the caller says in `recover` which batches are good (`core.log.recovery`).

Compaction writes a run of closed segments anew, beside them, and then puts the new one in their place:

    rewrite(0, 20)         .append(...) .finish()                 replace(rewrite)
    ┌──────┬───────┬─────┐   ┌──────┬───────┬─────┐               ┌───────────────┬─────┐
    │ 0..9 │ 10..19│ 20..│   │ 0..9 │ 10..19│ 20..│  + [0 3 17]   │ 0 . 3 .. 17 . │ 20..│
    └──────┴───────┴─────┘   └──────┴───────┴─────┘               └───────────────┴─────┘

What `delete_before`, `truncate`, `reset`, `replace` and `delete_log` take away is put aside where no start finds it again, and
removed for good by `LogStore.purge`, which may run in a thread: unlinking a gigabyte takes a file system a while.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mainstem.api.context import PluginContext
from mainstem.api.files import Buffer, FileSystem
from mainstem.api.spec import PluginConfig
from mainstem.model.batch import BatchHeader
from mainstem.model.ids import TopicId, TopicPartition
from mainstem.model.segment import BatchSpan, SegmentInfo

__all__ = ["BatchSpan", "LogStore", "PartitionLog", "SegmentInfo", "SegmentRewrite", "SidecarKind", "StorageBackend"]


class SidecarKind:
    """Kinds of small files that belong to a log. Their contents are encoded by `core.log`."""

    PRODUCER_SNAPSHOT = "snapshot"
    LEADER_EPOCHS = "leader-epoch-checkpoint"
    TRANSACTION_INDEX = "txnindex"
    """Aborted transactions of one segment, under its base offset."""


class SegmentRewrite(Protocol):
    """Closed segments being written anew. Used by one thread; readers of the log do not see it before `replace`."""

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        """As `PartitionLog.append`; base offsets ascend, gaps are welcome. Raises: StorageError."""

    def finish(self) -> None:
        """Make it durable; a crash from here on leaves either the old segments or the new one. Raises: StorageError."""

    def abandon(self) -> None:
        """Forget it; nothing is left behind. May be called at any time before `replace`."""


class PartitionLog(Protocol):
    """One partition's batches. Owned by one loop; only `flush` and blocking reads may run in a thread beside it."""

    @property
    def end_offset(self) -> int:
        """Offset after the last stored batch, or the start offset of an empty log."""

    def segments(self) -> Sequence[SegmentInfo]:
        """In order of base offset; the last one is active. Never empty."""

    def append(self, data: Sequence[Buffer], spans: Sequence[BatchSpan]) -> None:
        """Write whole batches after the last one; `data` concatenated holds the batches that `spans` describe.

        All or nothing as far as later reads of this process can see. Raises: StorageError.
        """

    def read(self, offset: int, end_offset: int, max_bytes: int, *, may_block: bool = True) -> Buffer:
        """Batches from the one that contains `offset` up to `end_offset` (a batch border), about `max_bytes`: the first batch
        is always whole (KIP-74), the last one may be cut off, as in Kafka. Empty if nothing is stored in that range.

        Raises: WouldBlock, StorageError.
        """

    def offset_for_time(self, timestamp: int, end_offset: int) -> int | None:
        """Base offset of the first batch below `end_offset` whose max timestamp is >= `timestamp`, or None."""

    def recover(self, from_offset: int, accept: Callable[[BatchHeader, memoryview], bool]) -> None:
        """Walk the stored batches from the segment that contains `from_offset` to the end, rebuild the store's own lookup
        files, and cut the log before the first batch that is torn or that `accept` refuses, with all that follows it.

        An empty segment ends where it begins. What was kept is durable after the next `flush`.
        """

    def roll(self, base_offset: int) -> None:
        """Start a new active segment; the old one is closed for writing and stays unflushed until `flush`."""

    def truncate(self, offset: int) -> None:
        """Remove every batch whose last offset is >= `offset`, and torn bytes; later appends continue there.

        Durable when it returns, so it waits for the disk. The caller lowers its recovery point first. Raises: StorageError.
        """

    def delete_before(self, offset: int) -> Sequence[int]:
        """Remove whole segments whose every offset is below `offset`; returns their base offsets. Never the active one."""

    def reset(self, offset: int) -> None:
        """Remove everything; the log is empty and starts at `offset`."""

    def rewrite(self, first_base: int, end_base: int) -> SegmentRewrite:
        """Begin to replace the closed segments whose base offsets are in [first_base, end_base). May run in a thread.

        Raises: StorageError.
        """

    def replace(self, rewrite: SegmentRewrite) -> bool:
        """Put a finished rewrite in the place of its segments; its base offset is `first_base`, and it exists even if it is empty.

        On the loop, and without waiting for a disk. False, and the rewrite is abandoned, if one of its segments is gone.
        """

    def flush(self) -> None:
        """Make everything appended so far durable, and what `replace` did. May block and may run in a thread.

        Raises: StorageError, for good.
        """

    def put_sidecar(self, kind: str, offset: int, content: bytes) -> None:
        """Keep a small file atomically under (kind, offset). Seen at once, durable with the next `flush` or a clean close of the
        store, on the loop and without waiting for a disk.
        """

    def sidecars(self, kind: str) -> Sequence[int]:
        """Offsets under which a file of that kind is kept, ascending. Leader epochs have one file, under 0."""

    def get_sidecar(self, kind: str, offset: int) -> bytes: ...

    def delete_sidecar(self, kind: str, offset: int) -> None:
        """As `put_sidecar`; does nothing if there is none. Removing a segment removes its transaction index."""

    @property
    def size(self) -> int:
        """Bytes of all batches."""

    def active_size(self) -> int:
        """Bytes of the active segment."""

    def active_index_bytes(self) -> int:
        """Size of the active segment's larger lookup file, as Kafka counts it; 0 where a store has none."""

    def close(self) -> None:
        """Release handles. Does not flush."""


class LogStore(Protocol):
    """All partitions in one place (a log directory, a database file, memory)."""

    @property
    def place(self) -> str:
        """For people: the directory's path, or `memory`."""

    @property
    def was_clean(self) -> bool:
        """Whether the last user closed it cleanly, so that logs need no recovery scan."""

    def existing(self) -> Sequence[tuple[TopicPartition, TopicId]]: ...

    def open_log(
        self, partition: TopicPartition, topic_id: TopicId, *, index_interval_bytes: int = 4096
    ) -> PartitionLog:
        """Open, or create empty at offset 0, on the disk with the first append. `index_interval_bytes`: how much data one
        lookup entry covers. A stored log of that name with another topic id stays, under another name.

        Raises: StorageError.
        """

    def delete_log(self, partition: TopicPartition) -> None:
        """Put the partition's files aside; the log must be closed. A log of the same name may be opened at once."""

    def purge(self) -> None:
        """Remove for good what was put aside before this call. Blocking; may run in a thread beside everything else."""

    def read_properties(self) -> Mapping[str, str]:
        """Who this place belongs to (Kafka's `meta.properties`); empty if nobody has said so. Raises: StorageError."""

    def write_properties(self, properties: Mapping[str, str]) -> None:
        """Durably and atomically."""

    def read_checkpoint(self, name: str) -> Mapping[TopicPartition, int]:
        """Offsets kept under e.g. `recovery-point-offset-checkpoint`; empty if there are none."""

    def write_checkpoint(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Durably and atomically."""

    def close(self, *, clean: bool, broker_epoch: int = -1) -> None:
        """`clean` leaves the mark that `was_clean` reads next time; give it only after every log was flushed and closed.

        `broker_epoch`: of the broker that stops, for Kafka's mark (KIP-966). Blocking.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageBackend:
    """Descriptor. `open(config, context, directory)` makes the store of one log directory.

    `open_files`, with the same arguments: where the broker's other files of that directory go, above all the metadata journal
    (decision 0008). None: into the directory, through `context.files`.
    """

    name: str
    open: Callable[[PluginConfig, PluginContext, Path], LogStore]
    open_files: Callable[[PluginConfig, PluginContext, Path], FileSystem] | None = None
    config: type[PluginConfig] = PluginConfig
    is_durable: bool = True
