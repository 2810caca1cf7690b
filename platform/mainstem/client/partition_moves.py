"""ElectLeaders and partition reassignments, asked of the controller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mainstem.client.cluster import Cluster, by_topic
from mainstem.client.errors import RefusedError, check, refusal
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignableTopic,
)
from mainstem.wire.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse, TopicPartitions
from mainstem.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)
from mainstem.wire.schema import Message

ELECTIONS = {"preferred": 0, "unclean": 1}
"""Numbers of the protocol."""
FACTOR_SINCE = 1
"""The version of AlterPartitionReassignments that can forbid another replication factor (KIP-860)."""
Outcome = dict[TopicPartition, RefusedError | None]
"""What went wrong with each partition, None where nothing did."""


class OngoingReassignment(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    partition: int
    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


def elect_leaders(cluster: Cluster, election: str, partitions: Iterable[TopicPartition] | None) -> Outcome:
    """`election` is one of ELECTIONS; None means all partitions. Raises: UnreachableError, RefusedError."""
    wanted = None
    if partitions is not None:
        wanted = [TopicPartitions(topic=topic, partitions=numbers) for topic, numbers in by_topic(partitions).items()]
    request = ElectLeadersRequest(
        election_type=ELECTIONS[election], topic_partitions=wanted, timeout_ms=cluster.api_timeout_ms
    )
    answer = cluster.ask_controller(ApiKey.ELECT_LEADERS, request, _error_of)
    assert isinstance(answer, ElectLeadersResponse), answer
    check(answer.error_code)
    return {
        TopicPartition(topic.topic, each.partition_id): _problem(each.error_code, each.error_message)
        for topic in answer.replica_election_results
        for each in topic.partition_result
    }


def reassign(
    cluster: Cluster, replicas: Mapping[TopicPartition, Sequence[int] | None], *, may_change_factor: bool = True
) -> Outcome:
    """Gives partitions to these brokers; None takes a reassignment back.

    `may_change_factor`: whether a partition may get more or fewer replicas than it has.
    Raises: UnreachableError, RefusedError, also if the broker is too old to forbid that.
    """
    served = cluster.any_broker().served().get(ApiKey.ALTER_PARTITION_REASSIGNMENTS, (0, 0))[1]
    if not may_change_factor and served < FACTOR_SINCE:
        raise RefusedError(ErrorCode.UNSUPPORTED_VERSION, "the broker is too old to forbid another replication factor")
    topics = [
        ReassignableTopic(
            name=topic,
            partitions=[
                ReassignablePartition(partition_index=number, replicas=_list(replicas[TopicPartition(topic, number)]))
                for number in numbers
            ],
        )
        for topic, numbers in by_topic(replicas).items()
    ]
    request = AlterPartitionReassignmentsRequest(
        timeout_ms=cluster.api_timeout_ms, topics=topics, allow_replication_factor_change=may_change_factor
    )
    answer = cluster.ask_controller(ApiKey.ALTER_PARTITION_REASSIGNMENTS, request, _error_of)
    assert isinstance(answer, AlterPartitionReassignmentsResponse), answer
    check(answer.error_code, answer.error_message)
    return {
        TopicPartition(topic.name, each.partition_index): _problem(each.error_code, each.error_message)
        for topic in answer.responses
        for each in topic.partitions
    }


def ongoing_reassignments(cluster: Cluster) -> list[OngoingReassignment]:
    """Raises: UnreachableError, RefusedError."""
    request = ListPartitionReassignmentsRequest(timeout_ms=cluster.api_timeout_ms, topics=None)
    answer = cluster.ask_controller(ApiKey.LIST_PARTITION_REASSIGNMENTS, request, _error_of)
    assert isinstance(answer, ListPartitionReassignmentsResponse), answer
    check(answer.error_code, answer.error_message)
    return [
        OngoingReassignment(
            topic=topic.name,
            partition=each.partition_index,
            replicas=tuple(each.replicas),
            adding=tuple(each.adding_replicas),
            removing=tuple(each.removing_replicas),
        )
        for topic in sorted(answer.topics, key=lambda topic: topic.name)
        for each in sorted(topic.partitions, key=lambda each: each.partition_index)
    ]


def _list(brokers: Sequence[int] | None) -> list[int] | None:
    return None if brokers is None else list(brokers)


def _problem(code: int, message: str | None) -> RefusedError | None:
    return None if code == ErrorCode.NONE else refusal(code, message)


def _error_of(answer: Message) -> int:
    assert isinstance(
        answer, ElectLeadersResponse | AlterPartitionReassignmentsResponse | ListPartitionReassignmentsResponse
    ), answer
    return answer.error_code
