"""Whether a log may take the first batch of a transaction: only once the transaction's coordinator knows of it.

    start ──> the coordinator is asked ──> append with what `start` gave
                      │
                      └─ a marker comes meanwhile: what `start` gave is worth nothing any more

A transaction that ended between the answer and the append would otherwise begin anew in this log, and nobody would end it.
Sources: KIP-890; Kafka's `VerificationStateEntry`, `VerificationGuard` and `UnifiedLog`, 4.1.
"""

from __future__ import annotations

from typing import NamedTuple


class Verification:
    """One producer's, from the first question to the first append; compared by identity.

    No sequence above `lowest_sequence` is taken first: the lower one, which failed to be verified, could never follow.
    """

    __slots__ = ("epoch", "lowest_sequence", "since_ms", "supports_epoch_bump")

    def __init__(self, lowest_sequence: int, epoch: int, since_ms: int, *, supports_epoch_bump: bool) -> None:
        self.lowest_sequence = lowest_sequence
        self.epoch = epoch
        self.since_ms = since_ms
        self.supports_epoch_bump = supports_epoch_bump

    def note(self, sequence: int, epoch: int) -> None:
        """Another batch waits to be verified."""
        if epoch > self.epoch or (epoch == self.epoch and sequence < self.lowest_sequence):
            self.epoch, self.lowest_sequence = epoch, sequence


class Admission(NamedTuple):
    """What a transactional append shows to the log: None for `verification` stands for a transaction it already has.

    Not required with `transaction.partition.verification.enable=false`, for clients that tell the coordinator themselves.
    """

    verification: Verification | None = None
    is_required: bool = True
