"""What coordinators of groups see of the cluster: `core.group.cluster_view.ClusterView` over the metadata of this node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from mainstem.api.context import Clock
from mainstem.core.group.cluster_view import ConsumerTimeouts, Topic
from mainstem.core.group.metadata_hash import topic_hash
from mainstem.model.cluster import (
    BrokerRegistration,
    Change,
    PartitionChanged,
    PartitionRegistration,
    PartitionsAdded,
    TopicCreated,
    TopicDeleted,
)
from mainstem.model.configs.group import GroupConfig
from mainstem.runtime.coordinator_topic import MetadataPort

CACHED_MAX = 10_000


class GroupTopic(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def topic_id(self) -> bytes: ...
    @property
    def partitions(self) -> tuple[PartitionRegistration, ...]: ...


class GroupImage(Protocol):
    """What groups need of `core.metadata.image.MetadataImage`."""

    @property
    def topics(self) -> Mapping[str, GroupTopic]: ...
    @property
    def topics_by_id(self) -> Mapping[bytes, GroupTopic]: ...
    @property
    def brokers(self) -> Mapping[int, BrokerRegistration]: ...


class GroupMetadataPort(MetadataPort, Protocol):
    """What groups need of `runtime.metadata.Metadata`."""

    @property
    def image(self) -> GroupImage: ...
    def group_config(self, group_id: str) -> GroupConfig: ...


class GroupCluster:
    """Follows the metadata before the coordinators do, so that they see what they are told of. One per broker."""

    def __init__(self, metadata: GroupMetadataPort, clock: Clock) -> None:
        self._metadata = metadata
        self._clock = clock
        self._hashes: dict[str, int] = {}
        self._version = clock.now_ms()
        """The time of the last creation of a topic: comparable over restarts, as the number of a metadata record is in Kafka."""
        metadata.subscribe(self._follow)

    @property
    def version(self) -> int:
        return self._version

    def topic(self, name: str) -> Topic | None:
        found = self._metadata.image.topics.get(name)
        return None if found is None else Topic(found.name, found.topic_id, len(found.partitions))

    def topic_name(self, topic_id: bytes) -> str | None:
        found = self._metadata.image.topics_by_id.get(topic_id)
        return None if found is None else found.name

    def topic_names(self) -> Iterable[str]:
        return self._metadata.image.topics

    def topic_hash(self, name: str) -> int | None:
        found = self._metadata.image.topics.get(name)
        if found is None:
            return None
        known = self._hashes.get(name)
        if known is None:
            brokers = self._metadata.image.brokers
            racks = [[b.rack for r in p.replicas if (b := brokers.get(r)) and b.rack] for p in found.partitions]
            known = topic_hash(name, found.topic_id, racks)
            if len(self._hashes) >= CACHED_MAX:
                # What is used comes back with the next look.
                self._hashes.clear()
            self._hashes[name] = known
        return known

    def consumer_timeouts(self, group_id: str) -> ConsumerTimeouts:
        config = self._metadata.group_config(group_id)
        return ConsumerTimeouts(config.consumer_heartbeat_interval_ms, config.consumer_session_timeout_ms)

    def _follow(self, changes: Sequence[Change], image: Any) -> None:
        if not changes:
            # Brokers came or went, and racks with them.
            self._hashes.clear()
        for change in changes:
            match change:
                case TopicCreated():
                    self._version = max(self._version + 1, self._clock.now_ms())
                    self._hashes.pop(change.name, None)
                case TopicDeleted() | PartitionsAdded() | PartitionChanged():
                    self._hashes.pop(change.name, None)


def changed_topics(changes: Sequence[Change]) -> frozenset[str]:
    """Topics that came, went, grew or moved."""
    kinds = (TopicCreated, TopicDeleted, PartitionsAdded, PartitionChanged)
    return frozenset(change.name for change in changes if isinstance(change, kinds))
