"""What a line of the journal says, and the state that all lines together amount to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

import msgspec

from mainstem.model.cluster import (
    Change,
    ConfigChanged,
    FeatureLevelChanged,
    PartitionChanged,
    PartitionRegistration,
    PartitionsAdded,
    ProducerIdsReserved,
    TopicCreated,
    TopicDeleted,
)

FORMAT = 1
CHANGES_PER_LINE = 100


class Founded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first line of every journal."""

    cluster_id: str
    format: int = FORMAT


class Epochs(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The newest epochs that were given out; none is given twice, whatever happens."""

    broker_epoch: int
    controller_epoch: int
    controller_id: int


class Decided(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One write of the controller: all of it or nothing."""

    changes: list[Change]


Entry = Founded | Epochs | Decided


class State:
    """Everything decided, without what later decisions made obsolete. Changed only by `apply`."""

    def __init__(self) -> None:
        self.cluster_id = ""
        self.epochs = Epochs(broker_epoch=0, controller_epoch=0, controller_id=-1)
        self._topics: dict[str, TopicCreated] = {}
        self._configs: dict[tuple[str, str, str], ConfigChanged] = {}
        self._producer_ids: ProducerIdsReserved | None = None
        self._feature_levels: dict[str, FeatureLevelChanged] = {}

    def apply(self, entry: Entry) -> None:
        """Raises: KeyError for a change to a topic that does not exist, which no intact journal holds."""
        match entry:
            case Founded():
                self.cluster_id = entry.cluster_id
            case Epochs():
                self.epochs = entry
            case Decided():
                for change in entry.changes:
                    self._apply_change(change)
            case _:
                assert_never(entry)

    def changes(self) -> list[Change]:
        """The shortest sequence that leads here from nothing."""
        last = [self._producer_ids] if self._producer_ids is not None else []
        # The newest epoch comes last.
        levels = sorted(self._feature_levels.values(), key=lambda change: change.epoch)
        return [*self._topics.values(), *self._configs.values(), *levels, *last]

    def entries(self) -> Iterator[Entry]:
        """The journal that says all this in the fewest words."""
        yield Founded(cluster_id=self.cluster_id)
        yield self.epochs
        changes = self.changes()
        for start in range(0, len(changes), CHANGES_PER_LINE):
            yield Decided(changes=changes[start : start + CHANGES_PER_LINE])

    def _apply_change(self, change: Change) -> None:
        match change:
            case TopicCreated():
                self._topics[change.name] = change
            case TopicDeleted():
                del self._topics[change.name]
            case PartitionsAdded():
                self._put_partitions(change.name, change.partitions)
            case PartitionChanged():
                self._put_partitions(change.name, (change.partition,))
            case ConfigChanged():
                self._apply_config(change)
            case ProducerIdsReserved():
                self._producer_ids = change
            case FeatureLevelChanged():
                self._feature_levels[change.name] = change
            case _:
                assert_never(change)

    def _put_partitions(self, name: str, partitions: tuple[PartitionRegistration, ...]) -> None:
        topic = self._topics[name]
        merged = {registration.partition: registration for registration in (*topic.partitions, *partitions)}
        ordered = tuple(merged[number] for number in sorted(merged))
        self._topics[name] = msgspec.structs.replace(topic, partitions=ordered)

    def _apply_config(self, change: ConfigChanged) -> None:
        if change.resource_type == "topic":
            topic = self._topics[change.resource_name]
            configs = {key: value for key, value in topic.configs.items() if key != change.key}
            if change.value is not None:
                configs[change.key] = change.value
            self._topics[change.resource_name] = msgspec.structs.replace(topic, configs=configs)
            return
        place = (change.resource_type, change.resource_name, change.key)
        if change.value is None:
            self._configs.pop(place, None)
        else:
            self._configs[place] = change
