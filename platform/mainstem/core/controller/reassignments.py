"""What AlterPartitionReassignments means where one broker holds everything (KIP-455): the assignment there is, or an error.

Source: Kafka's `ReplicationControlManager.alterPartitionReassignment`; the codes are Kafka's, the sentences ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainstem.core.metadata.image import MetadataImage
from mainstem.model.errors import ErrorCode


class ReassignmentResult(msgspec.Struct, frozen=True):
    error: ErrorCode = ErrorCode.NONE
    message: str | None = None


def reassign(image: MetadataImage, topic: str, partition: int, replicas: Sequence[int] | None) -> ReassignmentResult:
    """`replicas` is None to cancel a reassignment that is under way; there never is one."""
    found = image.topics.get(topic)
    if found is None:
        return ReassignmentResult(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {topic!r}")
    if not 0 <= partition < len(found.partitions):
        message = f"{topic} has no partition {partition}; it has {len(found.partitions)}"
        return ReassignmentResult(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message)
    if replicas is None:
        return ReassignmentResult(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    problem = _problem(image, replicas, found.partitions[partition].replicas)
    return ReassignmentResult(ErrorCode.INVALID_REPLICA_ASSIGNMENT, problem) if problem else ReassignmentResult()


def _problem(image: MetadataImage, replicas: Sequence[int], present: Sequence[int]) -> str | None:
    if not replicas:
        return "a partition needs at least one replica"
    twice = [replica for replica in replicas if replicas.count(replica) > 1]
    if twice:
        return f"broker {twice[0]} is named more than once"
    unknown = [replica for replica in replicas if replica not in image.brokers]
    if unknown:
        return f"there is no broker {unknown[0]}; there are {', '.join(map(str, sorted(image.brokers)))}"
    if tuple(replicas) != tuple(present):
        return f"its replicas are {', '.join(map(str, present))} and cannot be moved yet"
    return None
