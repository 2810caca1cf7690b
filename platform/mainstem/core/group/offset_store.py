"""Committed offsets of a shard, and those of transactions that are still open. Changed by `apply` and
`end_transaction` only.

An offset committed inside a transaction waits beside the others until the transaction's marker comes: on
commit it counts
unless a plain commit was written after it, on abort it is forgotten. Source: Kafka's `OffsetMetadataManager`,
4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mainstem.core.group.records import OffsetRemoved, OffsetStored
from mainstem.model.ids import NO_PRODUCER_ID, TopicPartition


class CommittedOffset(NamedTuple):
    """`record_offset` is where in the internal topic the commit lies; it decides which of two commits is the
    later one."""

    stored: OffsetStored
    record_offset: int


Offsets = dict[TopicPartition, CommittedOffset]
_NOTHING: Offsets = {}


class OffsetStore:
    def __init__(self) -> None:
        self._by_group: dict[str, Offsets] = {}
        self._open: dict[int, dict[str, Offsets]] = {}

    def of_group(self, group_id: str) -> Mapping[TopicPartition, CommittedOffset]:
        return self._by_group.get(group_id, _NOTHING)

    def is_unstable(self, group_id: str, partition: TopicPartition) -> bool:
        """Whether an open transaction holds an offset for it."""
        return any(partition in groups.get(group_id, _NOTHING) for groups in self._open.values())

    def has_open_transaction(self, group_id: str) -> bool:
        return any(group_id in groups for groups in self._open.values())

    def partitions_of(self, group_id: str) -> list[TopicPartition]:
        """Everything there is an offset for, committed or in an open transaction, each once."""
        found = dict.fromkeys(self.of_group(group_id))
        for groups in self._open.values():
            found.update(dict.fromkeys(groups.get(group_id, _NOTHING)))
        return list(found)

    def put(self, stored: OffsetStored, record_offset: int, producer_id: int) -> None:
        partition = TopicPartition(stored.topic, stored.partition)
        groups = self._by_group if producer_id == NO_PRODUCER_ID else self._open.setdefault(producer_id, {})
        groups.setdefault(stored.group_id, {})[partition] = CommittedOffset(stored, record_offset)

    def remove(self, removed: OffsetRemoved) -> None:
        """Also from open transactions: a removal that was decided while they ran covers their offsets too."""
        partition = TopicPartition(removed.topic, removed.partition)
        for groups in (self._by_group, *self._open.values()):
            offsets = groups.get(removed.group_id)
            if offsets is not None and offsets.pop(partition, None) is not None and not offsets:
                del groups[removed.group_id]

    def end_transaction(self, producer_id: int, committed: bool) -> list[str]:
        """Returns the groups that got offsets by it."""
        ended = self._open.pop(producer_id, {})
        if not committed:
            return []
        for group_id, offsets in ended.items():
            kept = self._by_group.setdefault(group_id, {})
            for partition, entry in offsets.items():
                existing = kept.get(partition)
                # Compaction may keep a plain commit that is older than the marker and younger than this
                # record.
                if existing is None or entry.record_offset > existing.record_offset:
                    kept[partition] = entry
        return list(ended)
