"""What is known of a cluster: its brokers and topics, and every change that can be written to it.

`Change` is the language of the coordination port: a controller decides changes, a coordinator plugin stores them
atomically and in order, and `core.metadata.image` applies them.
"""

from __future__ import annotations

import msgspec

from mainstem.model.ids import TopicId


class Endpoint(msgspec.Struct, frozen=True):
    """One advertised address. `listener` is the listener's name, `security_protocol` PLAINTEXT, SSL, SASL_…"""

    listener: str
    security_protocol: str
    host: str
    port: int


class BrokerRegistration(msgspec.Struct, frozen=True, kw_only=True):
    broker_id: int
    epoch: int
    endpoints: tuple[Endpoint, ...]
    rack: str | None = None


class PartitionRegistration(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds one partition. `leader` is -1 while nobody can lead; `partition_epoch` grows with every change."""

    partition: int
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    partition_epoch: int = 0


class TopicCreated(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    name: str
    topic_id: TopicId
    partitions: tuple[PartitionRegistration, ...]
    configs: dict[str, str]


class TopicDeleted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    name: str
    topic_id: TopicId


class PartitionsAdded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    name: str
    partitions: tuple[PartitionRegistration, ...]


class PartitionChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    name: str
    partition: PartitionRegistration


class ConfigChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`resource_type` is `topic`, `broker` (name `""`: default of the cluster), `group` or `client-metrics`.

    A None value removes the key.
    """

    resource_type: str
    resource_name: str
    key: str
    value: str | None


class ProducerIdsReserved(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Ids `[first, first + count)` belong to one broker now and are never given again."""

    broker_id: int
    first: int
    count: int


class FeatureLevelChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The cluster's level of one feature (KIP-584). `epoch` grows with every change, and tells clients which answer is newer."""

    name: str
    level: int
    epoch: int


Change = (
    TopicCreated
    | TopicDeleted
    | PartitionsAdded
    | PartitionChanged
    | ConfigChanged
    | ProducerIdsReserved
    | FeatureLevelChanged
)
