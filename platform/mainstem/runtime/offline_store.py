"""A log directory that could not be opened at start. Its partitions answer KAFKA_STORAGE_ERROR until the next start finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainstem.api.storage import PartitionLog
from mainstem.model.errors import StorageError
from mainstem.model.ids import TopicId, TopicPartition


class OfflineStore:
    """See `api.storage.LogStore`. Reads like an empty place, refuses everything else with the error of the start."""

    was_clean = True

    def __init__(self, place: str, error: StorageError) -> None:
        self.place = place
        self.error = error

    def existing(self) -> Sequence[tuple[TopicPartition, TopicId]]:
        return ()

    def open_log(
        self, partition: TopicPartition, topic_id: TopicId, *, index_interval_bytes: int = 4096
    ) -> PartitionLog:
        raise self.error

    def delete_log(self, partition: TopicPartition) -> None:
        """Its files stay; a start with this directory finds a stray folder."""

    def purge(self) -> None:
        """There is nothing to remove."""

    def read_properties(self) -> Mapping[str, str]:
        return {}

    def write_properties(self, properties: Mapping[str, str]) -> None:
        raise self.error

    def read_checkpoint(self, name: str) -> Mapping[TopicPartition, int]:
        return {}

    def write_checkpoint(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        raise self.error

    def close(self, *, clean: bool, broker_epoch: int = -1) -> None:
        """Nothing is open."""
