"""What creating, deleting and widening a topic means: checks and the changes to write.

Source: Kafka's `ReplicationControlManager`; the codes are Kafka's, the sentences ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mainstem.core.controller.placement import place
from mainstem.core.metadata.image import MetadataImage, may_collide, unified
from mainstem.model.cluster import PartitionRegistration, PartitionsAdded, TopicCreated, TopicDeleted
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ConfigError, ErrorCode
from mainstem.model.ids import NO_TOPIC_ID, TopicId
from mainstem.model.topic import topic_name_problem

CLUSTER_METADATA_TOPIC = "__cluster_metadata"
PARTITIONS_PER_REQUEST_MAX = 10_000


class ReplicaAssignment(msgspec.Struct, frozen=True):
    partition: int
    broker_ids: tuple[int, ...]


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A topic somebody asks for. -1 partitions or replicas: the default (KIP-464) or `assignments`."""

    name: str
    partitions: int = -1
    replication_factor: int = -1
    assignments: Sequence[ReplicaAssignment] = ()
    configs: Mapping[str, str | None] = {}


class TopicResult(msgspec.Struct, frozen=True, kw_only=True):
    """`change` is what must be written; None where there is an error."""

    name: str
    error: ErrorCode = ErrorCode.NONE
    message: str | None = None
    topic_id: TopicId = NO_TOPIC_ID
    partitions: int = -1
    replication_factor: int = -1
    change: TopicCreated | TopicDeleted | PartitionsAdded | None = None


class _Refused(Exception):
    """Ends a plan from within; never leaves this module."""

    def __init__(self, error: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.error = error
        self.message = message


def plan_creation(
    image: MetadataImage, spec: TopicSpec, config: BrokerConfig, topic_id: TopicId, start: int
) -> TopicResult:
    """`topic_id` and `start` (see `placement`) are random, drawn by the caller: planning stays repeatable."""
    try:
        _check_name(image, spec.name)
        configs = _check_configs(spec.configs, config)
        placed = _check_assignments(image, spec) if spec.assignments else _place(image, spec, config, start)
    except _Refused as refused:
        return TopicResult(name=spec.name, error=refused.error, message=refused.message)
    registrations = tuple(_registration(number, replicas) for number, replicas in enumerate(placed))
    change = TopicCreated(name=spec.name, topic_id=topic_id, partitions=registrations, configs=configs)
    return TopicResult(
        name=spec.name,
        topic_id=topic_id,
        partitions=len(placed),
        replication_factor=len(placed[0]),
        change=change,
    )


def plan_deletion(image: MetadataImage, name: str, config: BrokerConfig) -> TopicResult:
    if not config.delete_topic_enable:
        message = "deleting topics is switched off by delete.topic.enable=false"
        return TopicResult(name=name, error=ErrorCode.TOPIC_DELETION_DISABLED, message=message)
    topic = image.topics.get(name)
    if topic is None:
        message = f"there is no topic {name!r}"
        return TopicResult(name=name, error=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message=message)
    change = TopicDeleted(name=name, topic_id=topic.topic_id)
    return TopicResult(name=name, topic_id=topic.topic_id, change=change)


def plan_partitions(
    image: MetadataImage, name: str, total: int, assignments: Sequence[tuple[int, ...]] | None, start: int
) -> TopicResult:
    """More partitions for a topic; `assignments` are the brokers of each new one."""
    try:
        added = _plan_partitions(image, name, total, assignments, start)
    except _Refused as refused:
        return TopicResult(name=name, error=refused.error, message=refused.message)
    return TopicResult(
        name=name,
        topic_id=image.topics[name].topic_id,
        partitions=total,
        replication_factor=len(added[0].replicas),
        change=PartitionsAdded(name=name, partitions=added),
    )


def _plan_partitions(
    image: MetadataImage, name: str, total: int, assignments: Sequence[tuple[int, ...]] | None, start: int
) -> tuple[PartitionRegistration, ...]:
    topic = image.topics.get(name)
    if topic is None:
        raise _Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name!r}")
    present = len(topic.partitions)
    if total <= present:
        problem = f"the topic {name!r} has {present} partition(s) already; {total} would not be more"
        raise _Refused(ErrorCode.INVALID_PARTITIONS, problem)
    if total - present > PARTITIONS_PER_REQUEST_MAX:
        raise _Refused(ErrorCode.POLICY_VIOLATION, too_many(total - present))
    factor = len(topic.partitions[0].replicas)
    if assignments is None:
        _check_factor(image, factor)
        placed = place(image.brokers.values(), factor, range(present, total), start)
    else:
        if len(assignments) != total - present:
            problem = f"{total - present} partition(s) are to be added, but {len(assignments)} assigned to brokers"
            raise _Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, problem)
        for broker_ids in assignments:
            _check_assignment(image, broker_ids, factor)
        placed = list(assignments)
    return tuple(_registration(present + index, replicas) for index, replicas in enumerate(placed))


def _check_name(image: MetadataImage, name: str) -> None:
    if name == CLUSTER_METADATA_TOPIC:
        raise _Refused(ErrorCode.INVALID_REQUEST, f"the name {name} is reserved and cannot be created")
    problem = topic_name_problem(name)
    if problem is not None:
        raise _Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)
    if name in image.topics:
        raise _Refused(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    if may_collide(name):
        similar = image.similar_names.get(unified(name))
        if similar:
            problem = f"topic name {name!r} collides with {similar[0]!r}: metrics cannot tell '.' and '_' apart"
            raise _Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)


def _check_configs(configs: Mapping[str, str | None], config: BrokerConfig) -> dict[str, str]:
    empty = [key for key, value in configs.items() if value is None]
    if empty:
        raise _Refused(ErrorCode.INVALID_CONFIG, f"a value is needed for {', '.join(empty)}")
    values = {key: value for key, value in configs.items() if value is not None}
    try:
        TopicConfig.checked(values, config)
    except ConfigError as error:
        raise _Refused(ErrorCode.INVALID_CONFIG, str(error)) from None
    return values


def _check_assignments(image: MetadataImage, spec: TopicSpec) -> list[tuple[int, ...]]:
    if spec.replication_factor != -1 or spec.partitions != -1:
        problem = "with partitions assigned to brokers, their number and the replication factor must be -1"
        raise _Refused(ErrorCode.INVALID_REQUEST, problem)
    assigned: dict[int, tuple[int, ...]] = {}
    factor: int | None = None
    for assignment in spec.assignments:
        if assignment.partition in assigned:
            problem = f"partition {assignment.partition} is assigned more than once"
            raise _Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, problem)
        _check_assignment(image, assignment.broker_ids, factor)
        factor = len(assignment.broker_ids)
        assigned[assignment.partition] = assignment.broker_ids
    if sorted(assigned) != list(range(len(assigned))):
        problem = "partitions must be numbered from 0 without a gap"
        raise _Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, problem)
    return [assigned[number] for number in range(len(assigned))]


def _check_assignment(image: MetadataImage, broker_ids: tuple[int, ...], factor: int | None) -> None:
    """`factor` is what the partitions before this one have."""
    if not broker_ids:
        problem = "a partition is assigned to no broker at all"
    elif len(set(broker_ids)) < len(broker_ids):
        problem = f"a partition is assigned to the same broker twice: {list(broker_ids)}"
    elif unknown := [broker_id for broker_id in broker_ids if broker_id not in image.brokers]:
        problem = f"a partition is assigned to broker {unknown[0]}, which is not in the cluster"
    elif factor is not None and len(broker_ids) != factor:
        problem = f"a partition is assigned to {len(broker_ids)} broker(s), others of its topic to {factor}"
    else:
        return
    raise _Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, problem)


def _place(image: MetadataImage, spec: TopicSpec, config: BrokerConfig, start: int) -> list[tuple[int, ...]]:
    if spec.replication_factor < -1 or spec.replication_factor == 0:
        problem = f"replication factor {spec.replication_factor}: above 0, or -1 for the broker's default"
        raise _Refused(ErrorCode.INVALID_REPLICATION_FACTOR, problem)
    if spec.partitions < -1 or spec.partitions == 0:
        problem = f"{spec.partitions} partitions: it must be above 0, or -1 for the broker's default"
        raise _Refused(ErrorCode.INVALID_PARTITIONS, problem)
    partitions = config.num_partitions if spec.partitions == -1 else spec.partitions
    factor = config.default_replication_factor if spec.replication_factor == -1 else spec.replication_factor
    if partitions > PARTITIONS_PER_REQUEST_MAX:
        raise _Refused(ErrorCode.POLICY_VIOLATION, too_many(partitions))
    _check_factor(image, factor)
    return place(image.brokers.values(), factor, range(partitions), start)


def _check_factor(image: MetadataImage, factor: int) -> None:
    if factor > len(image.brokers):
        problem = f"{factor} replicas need as many brokers; the cluster has {len(image.brokers)}"
        raise _Refused(ErrorCode.INVALID_REPLICATION_FACTOR, problem)


def too_many(partitions: int) -> str:
    return f"{partitions} partitions are asked for; one request may create {PARTITIONS_PER_REQUEST_MAX}"


def _registration(partition: int, replicas: tuple[int, ...]) -> PartitionRegistration:
    return PartitionRegistration(
        partition=partition, leader=replicas[0], leader_epoch=0, replicas=replicas, isr=replicas
    )
