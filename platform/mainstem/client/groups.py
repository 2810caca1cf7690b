"""Consumer groups of any Kafka cluster, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import msgspec
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from mainstem.client.errors import translated
from mainstem.model import ids
from mainstem.model.errors import MainstemError

T = TypeVar("T")
NO_OFFSET = -1001
"""librdkafka's "there is no committed offset"."""

STATES = {
    "UNKNOWN": "Unknown",
    "PREPARING_REBALANCING": "PreparingRebalance",
    "COMPLETING_REBALANCING": "CompletingRebalance",
    "STABLE": "Stable",
    "DEAD": "Dead",
    "EMPTY": "Empty",
}
"""Kafka's names by those of the client library."""


class GroupListing(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is `Classic` or `Consumer`, `state` as in STATES."""

    group: str
    type: str
    state: str


class MemberInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`group_instance_id` is empty for a dynamic member; `host` as Kafka prints it, with a slash in front."""

    member_id: str
    group_instance_id: str
    client_id: str
    host: str
    assignment: tuple[ids.TopicPartition, ...]


class GroupInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is `Dead` for a group that does not exist. `coordinator` is `host:port`."""

    group: str
    state: str
    assignor: str
    coordinator: str
    coordinator_id: int
    members: tuple[MemberInfo, ...]


class Groups:
    """Every method raises UnreachableError or RefusedError."""

    def __init__(self, client: AdminClient, bootstrap_servers: str, timeout_s: float) -> None:
        self._client = client
        self._bootstrap_servers = bootstrap_servers
        self._timeout_s = timeout_s

    def listings(self) -> list[GroupListing]:
        """Sorted by name."""
        result = self._result(self._call(lambda: self._client.list_consumer_groups(request_timeout=self._timeout_s)))
        found = [
            GroupListing(group=each.group_id, type=each.type.name.capitalize(), state=STATES[each.state.name])
            for each in result.valid
        ]
        return sorted(found, key=lambda each: each.group)

    def describe(self, groups: Sequence[str]) -> list[GroupInfo]:
        if not groups:
            return []
        futures = self._call(
            lambda: self._client.describe_consumer_groups(sorted(set(groups)), request_timeout=self._timeout_s)
        )
        return [_group(self._result(future)) for _, future in sorted(futures.items())]

    def committed(self, group: str) -> dict[ids.TopicPartition, int]:
        """Committed offsets of all partitions that have one."""
        asked = ConsumerGroupTopicPartitions(group)
        futures = self._call(lambda: self._client.list_consumer_group_offsets([asked], request_timeout=self._timeout_s))
        found = self._result(futures[group]).topic_partitions
        return {ids.TopicPartition(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def commit(self, group: str, offsets: Mapping[ids.TopicPartition, int]) -> None:
        """Replace committed offsets; the group must have no members."""
        if not offsets:
            return
        partitions = [TopicPartition(each.topic, each.partition, offset) for each, offset in offsets.items()]
        asked = ConsumerGroupTopicPartitions(group, partitions)
        futures = self._call(
            lambda: self._client.alter_consumer_group_offsets([asked], request_timeout=self._timeout_s)
        )
        for partition in self._result(futures[group]).topic_partitions:
            if partition.error is not None:
                raise translated(KafkaException(partition.error), self._bootstrap_servers)

    def delete(self, groups: Sequence[str]) -> dict[str, MainstemError | None]:
        """What went wrong with each group, None if it is gone."""
        futures = self._call(
            lambda: self._client.delete_consumer_groups(sorted(set(groups)), request_timeout=self._timeout_s)
        )
        outcome: dict[str, MainstemError | None] = {}
        for group, future in futures.items():
            try:
                self._result(future)
            except MainstemError as error:
                outcome[group] = error
            else:
                outcome[group] = None
        return outcome

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except KafkaException as error:
            raise translated(error, self._bootstrap_servers) from None

    def _result(self, future: Future[Any]) -> Any:
        return self._call(future.result)


def _group(described: Any) -> GroupInfo:
    coordinator = described.coordinator
    return GroupInfo(
        group=described.group_id,
        state=STATES[described.state.name],
        assignor=described.partition_assignor or "",
        coordinator=f"{coordinator.host}:{coordinator.port}" if coordinator is not None else "-",
        coordinator_id=coordinator.id if coordinator is not None else -1,
        members=tuple(_member(member) for member in described.members),
    )


def _member(member: Any) -> MemberInfo:
    assigned = member.assignment.topic_partitions if member.assignment is not None else ()
    return MemberInfo(
        member_id=member.member_id,
        group_instance_id=member.group_instance_id or "",
        client_id=member.client_id,
        host=member.host,
        assignment=tuple(sorted(ids.TopicPartition(each.topic, each.partition) for each in assigned)),
    )
