"""What ElectLeaders finds for one partition (KIP-183, KIP-460). One node leads all it holds, so that no election is ever held.

Source: Kafka's `ReplicationControlManager.electLeader`; the codes are Kafka's, the sentences ours.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from mainstem.core.metadata.image import MetadataImage
from mainstem.model.errors import ErrorCode


class ElectionType(IntEnum):
    """The numbers are those of ElectLeaders."""

    PREFERRED = 0
    UNCLEAN = 1


class ElectionResult(msgspec.Struct, frozen=True):
    error: ErrorCode
    message: str


def elect_leader(image: MetadataImage, topic: str, partition: int, kind: ElectionType) -> ElectionResult:
    found = image.topics.get(topic)
    if found is None:
        return ElectionResult(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {topic!r}")
    if not 0 <= partition < len(found.partitions):
        message = f"{topic} has no partition {partition}; it has {len(found.partitions)}"
        return ElectionResult(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message)
    registration = found.partitions[partition]
    preferred = registration.replicas[0]
    if kind is ElectionType.UNCLEAN:
        if registration.leader >= 0:
            return _not_needed(f"broker {registration.leader} leads it")
        return ElectionResult(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "none of its replicas is alive")
    if registration.leader == preferred:
        return _not_needed(f"broker {preferred}, its preferred leader, leads it")
    return ElectionResult(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, f"broker {preferred} is not alive")


def _not_needed(why: str) -> ElectionResult:
    return ElectionResult(ErrorCode.ELECTION_NOT_NEEDED, f"no election is needed: {why}")
