"""A cluster's topics, offsets, groups and configurations, as plain values.

with_cluster = Admin.connect(Connection(bootstrap_servers="localhost:9092"))
with_cluster.create_topic("orders", partitions=3)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

from mainstem.client import configs
from mainstem.client.cluster import API_TIMEOUT_S, Cluster
from mainstem.client.configs import ConfigValue
from mainstem.client.connection import Connection
from mainstem.client.groups import Groups
from mainstem.client.offsets import EARLIEST, LATEST, known_offsets
from mainstem.client.protocol import ProtocolConnection
from mainstem.client.topics import TopicInfo, Topics
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey


class Admin:
    """Every method raises UnreachableError or RefusedError. Use as a context manager, or close it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.topic_admin = Topics(cluster)

    @classmethod
    def connect(cls, connection: Connection, api_timeout_s: float = API_TIMEOUT_S) -> Admin:
        """Returns when a broker has accepted the connection. Raises also: ConfigError."""
        return cls(Cluster.connect(connection, api_timeout_s))

    def groups(self) -> Groups:
        return Groups(self.cluster)

    def topics(self, *, with_internal: bool = True) -> list[str]:
        """Names, sorted."""
        return self.topic_admin.names(with_internal=with_internal)

    def brokers(self) -> list[int]:
        """Ids of the live ones, sorted."""
        return [node.id for node in self.cluster.nodes()]

    def describe_topics(self, names: Sequence[str]) -> list[TopicInfo]:
        return self.topic_admin.describe(names)

    def create_topic(
        self,
        name: str,
        *,
        partitions: int | None = None,
        replication_factor: int | None = None,
        configs: Mapping[str, str] | None = None,
    ) -> None:
        """Without partitions or replication factor the broker's defaults are taken."""
        self.topic_admin.create(name, partitions=partitions, replication_factor=replication_factor, configs=configs)

    @property
    def can_list_configured(self) -> bool:
        """Whether the broker is new enough for `configured`."""
        return ApiKey.LIST_CONFIG_RESOURCES in self.cluster.any_broker().served()

    def configured(self, kind: str) -> list[str]:
        """Names of this kind that have settings of their own; none where the broker is too old to tell."""
        return configs.resources(self.cluster.any_broker(), kind) if self.can_list_configured else []

    def configs(self, kind: str, name: str) -> list[ConfigValue]:
        """`kind` is one of `configs.RESOURCE_TYPES`; the name `""` of a broker means the cluster's defaults. By name."""
        return configs.describe(self._broker_for(kind, name), kind, name)

    def alter_configs(self, kind: str, name: str, changes: Mapping[str, str | None]) -> None:
        """None removes a key."""
        configs.alter(self._broker_for(kind, name), kind, name, changes)

    def _broker_for(self, kind: str, name: str) -> ProtocolConnection:
        """A broker's own settings are told and changed by that broker only, everything else by any."""
        is_of_one = kind in ("broker", "broker-logger") and name
        return self.cluster.broker(int(name)) if is_of_one else self.cluster.any_broker()

    def start_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return known_offsets(self.cluster, partitions, EARLIEST)

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return known_offsets(self.cluster, partitions, LATEST)

    def offsets_at(self, partitions: Sequence[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        """The first offset with this timestamp or a later one; -1 where there is none."""
        return known_offsets(self.cluster, partitions, timestamp_ms)

    def close(self) -> None:
        self.cluster.close()

    def __enter__(self) -> Admin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
