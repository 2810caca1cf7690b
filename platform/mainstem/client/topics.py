"""Topics and partitions of any Kafka cluster: listed, described, made, widened, deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mainstem.client.cluster import Cluster
from mainstem.client.errors import check, refusal
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_TOPIC_ID, topic_id_text
from mainstem.model.topic import INTERNAL_TOPICS
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from mainstem.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from mainstem.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from mainstem.wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
    TopicRequest,
)
from mainstem.wire.messages.metadata import MetadataResponsePartition, MetadataResponseTopic
from mainstem.wire.schema import Message

BROKERS_DEFAULT = -1
PARTITIONS_PER_RESPONSE = 2000


class PartitionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`leader` is None while there is none; eligible leader replicas (KIP-966) are None where no broker tells them."""

    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    elr: tuple[int, ...] | None = None
    last_known_elr: tuple[int, ...] | None = None


class TopicInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`topic_id` as Kafka prints it; None from brokers that have no topic ids."""

    name: str
    topic_id: str | None
    is_internal: bool
    partitions: tuple[PartitionInfo, ...]


class Topics:
    """Every method raises UnreachableError or RefusedError."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def ids(self) -> dict[str, str]:
        """Topic ids by name, sorted by name."""
        found = self._cluster.metadata(None).topics
        return {topic.name: topic_id_text(topic.topic_id) for topic in sorted(found, key=_name) if topic.name}

    def names(self, *, with_internal: bool = True) -> list[str]:
        """Sorted."""
        return [
            topic.name
            for topic in sorted(self._cluster.metadata(None).topics, key=_name)
            if topic.name and (with_internal or not (topic.is_internal or topic.name in INTERNAL_TOPICS))
        ]

    def describe(self, names: Sequence[str], page_size: int = PARTITIONS_PER_RESPONSE) -> list[TopicInfo]:
        """In the order of `names`; raises RefusedError for one that does not exist. `page_size` in partitions."""
        if not names:
            return []
        if ApiKey.DESCRIBE_TOPIC_PARTITIONS in self._cluster.any_broker().served():
            found = self._pages(sorted(set(names)), page_size)
        else:
            found = {}
            for topic in self._cluster.metadata(sorted(set(names))).topics:
                check(topic.error_code)
                found[topic.name or ""] = _of_metadata(topic)
        return [found[name] for name in names]

    def _pages(self, names: Sequence[str], page_size: int) -> dict[str, TopicInfo]:
        found: dict[str, TopicInfo] = {}
        cursor: Cursor | None = None
        while True:
            request = DescribeTopicPartitionsRequest(
                topics=[TopicRequest(name=name) for name in names if cursor is None or name >= cursor.topic_name],
                response_partition_limit=page_size,
                cursor=cursor,
            )
            answer = self._cluster.ask(ApiKey.DESCRIBE_TOPIC_PARTITIONS, request)
            assert isinstance(answer, DescribeTopicPartitionsResponse), answer
            for topic in answer.topics:
                check(topic.error_code)
                part = _of_description(topic)
                before = found.get(part.name)
                found[part.name] = (
                    part
                    if before is None
                    else msgspec.structs.replace(before, partitions=before.partitions + part.partitions)
                )
            if answer.next_cursor is None:
                return found
            if cursor is not None and _place(answer.next_cursor) <= _place(cursor):
                raise refusal(ErrorCode.UNKNOWN_SERVER_ERROR, "the broker's pages of partitions do not advance")
            cursor = answer.next_cursor

    def create(
        self,
        name: str,
        *,
        partitions: int | None = None,
        replication_factor: int | None = None,
        configs: Mapping[str, str] | None = None,
        assignments: Sequence[Sequence[int]] = (),
    ) -> None:
        """Without partitions or replication factor the broker's defaults are taken."""
        topic = CreatableTopic(
            name=name,
            num_partitions=BROKERS_DEFAULT if partitions is None or assignments else partitions,
            replication_factor=(BROKERS_DEFAULT if replication_factor is None or assignments else replication_factor),
            assignments=[
                CreatableReplicaAssignment(partition_index=number, broker_ids=list(brokers))
                for number, brokers in enumerate(assignments)
            ],
            configs=[CreatableTopicConfig(name=key, value=value) for key, value in (configs or {}).items()],
        )
        request = CreateTopicsRequest(topics=[topic], timeout_ms=self._cluster.api_timeout_ms)
        self._change(ApiKey.CREATE_TOPICS, request)

    def add_partitions(self, name: str, total: int, assignments: Sequence[Sequence[int]] = ()) -> None:
        topic = CreatePartitionsTopic(
            name=name,
            count=total,
            assignments=[CreatePartitionsAssignment(broker_ids=list(each)) for each in assignments] or None,
        )
        request = CreatePartitionsRequest(topics=[topic], timeout_ms=self._cluster.api_timeout_ms)
        self._change(ApiKey.CREATE_PARTITIONS, request)

    def delete(self, names: Sequence[str]) -> None:
        if not names:
            return
        request = DeleteTopicsRequest(
            topics=[DeleteTopicState(name=name) for name in names],
            topic_names=list(names),
            timeout_ms=self._cluster.api_timeout_ms,
        )
        self._change(ApiKey.DELETE_TOPICS, request)

    def _change(self, api: ApiKey, request: Message) -> None:
        answer = self._cluster.ask_controller(api, request, lambda answer: _first_error(answer)[0])
        check(*_first_error(answer))


def _first_error(answer: Message) -> tuple[int, str | None]:
    match answer:
        case CreateTopicsResponse():
            results = [(each.error_code, each.error_message) for each in answer.topics]
        case CreatePartitionsResponse():
            results = [(each.error_code, each.error_message) for each in answer.results]
        case DeleteTopicsResponse():
            results = [(each.error_code, each.error_message) for each in answer.responses]
        case _:
            raise AssertionError(f"{type(answer).__name__} changes no topics")
    return next((result for result in results if result[0] != ErrorCode.NONE), (ErrorCode.NONE, None))


def _name(topic: MetadataResponseTopic) -> str:
    return topic.name or ""


def _place(cursor: Cursor) -> tuple[str, int]:
    return cursor.topic_name, cursor.partition_index


def _of_metadata(topic: MetadataResponseTopic) -> TopicInfo:
    partitions = [_partition(each) for each in topic.partitions]
    return _topic(topic.name or "", topic.topic_id, topic.is_internal, partitions)


def _of_description(topic: DescribeTopicPartitionsResponseTopic) -> TopicInfo:
    partitions = [
        _partition(each, tuple(each.eligible_leader_replicas or ()), tuple(each.last_known_elr or ()))
        for each in topic.partitions
    ]
    return _topic(topic.name or "", topic.topic_id, topic.is_internal, partitions)


def _partition(
    each: MetadataResponsePartition | DescribeTopicPartitionsResponsePartition,
    elr: tuple[int, ...] | None = None,
    last_known_elr: tuple[int, ...] | None = None,
) -> PartitionInfo:
    return PartitionInfo(
        partition=each.partition_index,
        leader=each.leader_id if each.leader_id >= 0 else None,
        replicas=tuple(each.replica_nodes),
        isr=tuple(each.isr_nodes),
        elr=elr,
        last_known_elr=last_known_elr,
    )


def _topic(name: str, topic_id: bytes, is_internal: bool, partitions: Sequence[PartitionInfo]) -> TopicInfo:
    return TopicInfo(
        name=name,
        topic_id=topic_id_text(topic_id) if topic_id != NO_TOPIC_ID else None,
        is_internal=is_internal,
        partitions=tuple(sorted(partitions, key=lambda each: each.partition)),
    )
