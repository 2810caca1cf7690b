"""Leader epochs: which leader wrote from which offset on. Sources: KIP-101, KIP-279; Kafka's `LeaderEpochFileCache`, 4.1."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

UNDEFINED_EPOCH = -1
UNDEFINED_OFFSET = -1


class EpochStart(NamedTuple):
    epoch: int
    start_offset: int


class LeaderEpochs:
    """Both columns grow strictly. Example: [(0, 0), (2, 120)] = leader epoch 2 began at offset 120."""

    __slots__ = ("entries",)

    def __init__(self, entries: list[EpochStart] | None = None) -> None:
        self.entries = entries or []

    @property
    def latest(self) -> int:
        return self.entries[-1].epoch if self.entries else UNDEFINED_EPOCH

    def assign(self, epoch: int, start_offset: int) -> bool:
        """Note that `epoch` writes from `start_offset` on; what contradicts it goes. Returns whether anything changed."""
        if self.entries and self.entries[-1].epoch == epoch:
            return False
        self.entries = [e for e in self.entries if e.epoch < epoch and e.start_offset < start_offset]
        self.entries.append(EpochStart(epoch, start_offset))
        return True

    def end_offset_for(self, epoch: int, log_end_offset: int) -> EpochStart:
        """(largest known epoch <= `epoch`, where it ended); (-1, -1) if the epoch is unknown."""
        if epoch == self.latest and self.entries:
            return EpochStart(epoch, log_end_offset)
        if not self.entries or epoch > self.latest or epoch < 0:
            return EpochStart(UNDEFINED_EPOCH, UNDEFINED_OFFSET)
        slot = bisect_right(self.entries, epoch, key=lambda e: e.epoch)
        floor = self.entries[slot - 1].epoch if slot else epoch
        return EpochStart(floor, self.entries[slot].start_offset)

    def truncate_from_end(self, end_offset: int) -> None:
        self.entries = [e for e in self.entries if e.start_offset < end_offset]

    def truncate_from_start(self, start_offset: int) -> None:
        """The epoch that covers the new start stays, moved to it."""
        before = [e for e in self.entries if e.start_offset <= start_offset]
        if before:
            after = [e for e in self.entries if e.start_offset > start_offset]
            self.entries = [EpochStart(before[-1].epoch, start_offset), *after]

    def encode(self) -> bytes:
        """Kafka's `leader-epoch-checkpoint`: version 0, count, `epoch offset` per line."""
        lines = ["0", str(len(self.entries)), *(f"{e.epoch} {e.start_offset}" for e in self.entries)]
        return ("\n".join(lines) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> LeaderEpochs:
        """Raises: ValueError, IndexError if the file is damaged; recovery rebuilds it from the batches."""
        lines = content.decode().split("\n")
        if lines[0] != "0":
            raise ValueError(f"leader-epoch-checkpoint version {lines[0]!r} is not 0")
        pairs = [line.split(" ") for line in lines[2 : 2 + int(lines[1])]]
        return cls([EpochStart(int(epoch), int(offset)) for epoch, offset in pairs])
