"""What a worker of a pipeline says in the log, each event with its facts: docs/operations.md has them in a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mainstem.api.context import Log
from mainstem.model.ids import TopicPartition


class Reports:
    """Normal work is told at INFO, what costs work or records at WARNING. Every event has `pipeline`."""

    def __init__(self, log: Log, pipeline: str) -> None:
        self._log = log
        self._pipeline = pipeline

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._log.info("pipeline.partitions_assigned", pipeline=self._pipeline, partitions=_names(partitions))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._log.info("pipeline.partitions_revoked", pipeline=self._pipeline, partitions=_names(partitions))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._log.warning("pipeline.partitions_lost", pipeline=self._pipeline, partitions=_names(partitions))

    def restoring(self, task: object, records: int, *, from_snapshot: bool) -> None:
        self._log.info(
            "pipeline.restoring", pipeline=self._pipeline, task=str(task), records=records, from_snapshot=from_snapshot
        )

    def restored(self, task: object, elapsed_ms: int) -> None:
        self._log.info("pipeline.restored", pipeline=self._pipeline, task=str(task), elapsed_ms=elapsed_ms)

    def rolled_back(self) -> None:
        """Partitions went to another worker before a checkpoint was committed: what was done since counts for nothing."""
        self._log.warning("pipeline.rolled_back", pipeline=self._pipeline)

    def waits_for_topic(self, topic: str) -> None:
        self._log.warning("pipeline.waits_for_topic", pipeline=self._pipeline, topic=topic)


def _names(partitions: Iterable[TopicPartition]) -> list[str]:
    return [str(partition) for partition in sorted(partitions)]
