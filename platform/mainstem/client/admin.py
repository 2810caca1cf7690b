"""Topics, partitions, offsets and configurations of any Kafka cluster, as plain values.

with_cluster = Admin.connect(Connection(bootstrap_servers="localhost:9092"))
with_cluster.create_topic("orders", partitions=3)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import msgspec
from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the package does not mark re-exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from mainstem.client.configs import SOURCES, ConfigSetting, ConfigValue, alter, describe
from mainstem.client.connection import CONNECT_TIMEOUT_S, Connection, refused_property
from mainstem.client.errors import RefusedError, translated
from mainstem.client.groups import Groups
from mainstem.client.protocol import ProtocolConnection
from mainstem.model import ids
from mainstem.model.errors import ErrorCode
from mainstem.model.topic import INTERNAL_TOPICS

T = TypeVar("T")

_URL_SAFE = str.maketrans("+/", "-_")


class PartitionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`leader` is None while there is none."""

    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


class TopicInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`topic_id` as Kafka prints it; None from brokers that have no topic ids."""

    name: str
    topic_id: str | None
    partitions: tuple[PartitionInfo, ...]


class Admin:
    """Every method raises UnreachableError or RefusedError. One instance is one set of connections."""

    def __init__(self, client: AdminClient, connection: Connection) -> None:
        self._client = client
        self._connection = connection

    @classmethod
    def connect(cls, connection: Connection, timeout_s: float = CONNECT_TIMEOUT_S) -> Admin:
        """Returns when a broker has answered.

        Raises: UnreachableError, ConfigError for a property that no client has.
        """
        connection.probe(timeout_s)
        try:
            client = AdminClient(connection.settings())
        except KafkaException as error:
            raise refused_property(error) from None
        admin = cls(client, connection)
        admin._call(lambda: client.list_topics(timeout=timeout_s))
        return admin

    def groups(self, timeout_s: float = CONNECT_TIMEOUT_S) -> Groups:
        """The same connections, for consumer groups."""
        return Groups(self._client, self._connection.bootstrap_servers, timeout_s)

    def topics(self, *, with_internal: bool = True) -> list[str]:
        """Names, sorted."""
        found = self._call(lambda: self._client.list_topics(timeout=CONNECT_TIMEOUT_S)).topics
        return sorted(name for name in found if with_internal or name not in INTERNAL_TOPICS)

    def brokers(self) -> list[int]:
        """Ids of the live ones, sorted."""
        return sorted(self._call(lambda: self._client.list_topics(timeout=CONNECT_TIMEOUT_S)).brokers)

    def describe_topics(self, names: Sequence[str]) -> list[TopicInfo]:
        if not names:
            return []
        futures = self._call(lambda: self._client.describe_topics(TopicCollection(list(names))))
        return [self._topic(self._result(futures[name])) for name in names]

    def create_topic(
        self,
        name: str,
        *,
        partitions: int | None = None,
        replication_factor: int | None = None,
        configs: Mapping[str, str] | None = None,
        assignments: Sequence[Sequence[int]] = (),
    ) -> None:
        """Without partitions or replication factor the broker's defaults are taken."""
        if assignments:
            topic = NewTopic(
                name,
                num_partitions=len(assignments),
                replica_assignment=[list(brokers) for brokers in assignments],
                config=dict(configs or {}),
            )
        else:
            topic = NewTopic(
                name,
                num_partitions=-1 if partitions is None else partitions,
                replication_factor=-1 if replication_factor is None else replication_factor,
                config=dict(configs or {}),
            )
        self._result(self._call(lambda: self._client.create_topics([topic]))[name])

    def delete_topics(self, names: Sequence[str]) -> None:
        if names:
            for future in self._call(lambda: self._client.delete_topics(list(names))).values():
                self._result(future)

    def add_partitions(self, name: str, total: int, assignments: Sequence[Sequence[int]] = ()) -> None:
        if assignments:
            partitions = NewPartitions(name, total, replica_assignment=[list(each) for each in assignments])
        else:
            partitions = NewPartitions(name, total)
        self._result(self._call(lambda: self._client.create_partitions([partitions]))[name])

    def configs(self, kind: str, name: str) -> list[ConfigValue]:
        """`kind` is `topic`, `broker` (name `""`: the cluster's defaults) or `group`. Sorted by name."""
        if self._connection.is_plain:
            with self._broker_for(kind, name) as broker:
                return describe(broker, kind, name)
        resource = self._resource(kind, name)
        entries = self._result(self._call(lambda: self._client.describe_configs([resource]))[resource])
        return [_config(entry) for _, entry in sorted(entries.items())]

    def alter_configs(self, kind: str, name: str, changes: Mapping[str, str | None]) -> None:
        """None removes a key."""
        if self._connection.is_plain:
            with self._broker_for(kind, name) as broker:
                alter(broker, kind, name, changes)
            return
        edits = [
            ConfigEntry(
                key,
                value,
                incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
            )
            for key, value in changes.items()
        ]
        resource = self._resource(kind, name, edits)
        self._result(self._call(lambda: self._client.incremental_alter_configs([resource]))[resource])

    def _broker_for(self, kind: str, name: str) -> ProtocolConnection:
        """A broker's own settings are told and changed by that broker only, everything else by any."""
        brokers = self._call(lambda: self._client.list_topics(timeout=CONNECT_TIMEOUT_S)).brokers
        if kind == "broker" and name:
            if int(name) not in brokers:
                raise RefusedError(ErrorCode.BROKER_NOT_AVAILABLE, f"there is no broker {name}")
            chosen = brokers[int(name)]
        else:
            chosen = brokers[min(brokers)]
        assert chosen.host is not None, "brokers in metadata have addresses"
        return ProtocolConnection(chosen.host, chosen.port, CONNECT_TIMEOUT_S)

    def _resource(self, kind: str, name: str, edits: list[ConfigEntry] | None = None) -> ConfigResource:
        if not name:
            # The library refuses a resource without a name.
            problem = "the cluster's default configuration can be reached over plain connections only"
            raise RefusedError(ErrorCode.UNSUPPORTED_VERSION, problem)
        return ConfigResource(ConfigResource.Type[kind.upper()], name, incremental_configs=edits)

    def start_offsets(self, partitions: Sequence[ids.TopicPartition]) -> dict[ids.TopicPartition, int]:
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # the library leaves it untyped

    def end_offsets(self, partitions: Sequence[ids.TopicPartition]) -> dict[ids.TopicPartition, int]:
        """Of partitions that a leader answers for; others are missing from the result."""
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]  # the library leaves it untyped

    def offsets_at(self, partitions: Sequence[ids.TopicPartition], timestamp_ms: int) -> dict[ids.TopicPartition, int]:
        """The first offset with this timestamp or a later one; -1 where there is none."""
        return self._offsets(partitions, OffsetSpec.for_timestamp(timestamp_ms))

    def _offsets(self, partitions: Sequence[ids.TopicPartition], spec: OffsetSpec) -> dict[ids.TopicPartition, int]:
        if not partitions:
            return {}
        asked = {TopicPartition(each.topic, each.partition): spec for each in partitions}
        futures = self._call(lambda: self._client.list_offsets(asked))
        found = {}
        for partition, future in futures.items():
            try:
                found[ids.TopicPartition(partition.topic, partition.partition)] = future.result().offset
            except KafkaException:
                # A partition without a leader has no end that anybody knows.
                continue
        return found

    def _topic(self, described: Any) -> TopicInfo:
        # librdkafka prints the other base64 alphabet.
        topic_id = str(described.topic_id).translate(_URL_SAFE) if described.topic_id is not None else None
        partitions = tuple(
            PartitionInfo(
                partition=each.id,
                leader=each.leader.id if each.leader is not None and each.leader.id >= 0 else None,
                replicas=tuple(node.id for node in each.replicas),
                isr=tuple(node.id for node in each.isr),
            )
            for each in sorted(described.partitions, key=lambda each: each.id)
        )
        return TopicInfo(name=described.name, topic_id=topic_id, partitions=partitions)

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except KafkaException as error:
            raise translated(error, self._connection.bootstrap_servers) from None

    def _result(self, future: Future[T]) -> T:
        return self._call(future.result)


def _config(entry: ConfigEntry) -> ConfigValue:
    source = _source(entry.source)
    return ConfigValue(
        name=entry.name,
        value=entry.value,
        source=source,
        is_default=source == "DEFAULT_CONFIG",
        is_sensitive=entry.is_sensitive,
        is_read_only=entry.is_read_only,
        synonyms=tuple(ConfigSetting(each.name, each.value, _source(each.source)) for each in entry.synonyms.values()),
    )


def _source(number: Any) -> str:
    """librdkafka hands on a number for the entry itself and an enumeration for its synonyms."""
    return SOURCES.get(getattr(number, "value", number), "UNKNOWN")
