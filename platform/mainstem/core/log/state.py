"""What the batches of one log say beside their records: producers and their sequences, and who led when."""

from __future__ import annotations

from mainstem.core.log.epochs import LeaderEpochs
from mainstem.core.log.producer_state import ProducerStates


class LogState:
    """Rebuilt from sidecars and batches when a log is opened (`runtime.partition_opening`), then kept by its partition."""

    __slots__ = ("epochs", "producers")

    def __init__(self, producers: ProducerStates | None = None, epochs: LeaderEpochs | None = None) -> None:
        self.producers = producers or ProducerStates()
        self.epochs = epochs or LeaderEpochs()
