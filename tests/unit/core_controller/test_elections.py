"""Elections and reassignments on images that a single node never has: what its answers are derived from."""

from __future__ import annotations

import pytest

from mainstem.core.controller.elections import ElectionType, elect_leader
from mainstem.core.controller.reassignments import reassign
from mainstem.core.metadata.image import MetadataImage
from mainstem.model.cluster import BrokerRegistration, PartitionRegistration, TopicCreated
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicId


def image(leader: int, *replicas: int) -> MetadataImage:
    partition = PartitionRegistration(partition=0, leader=leader, leader_epoch=0, replicas=replicas, isr=replicas)
    topic = TopicCreated(name="a", topic_id=TopicId(bytes(16)), partitions=(partition,), configs={})
    brokers = [BrokerRegistration(broker_id=number, epoch=1, endpoints=()) for number in (1, 2)]
    return MetadataImage().with_brokers(brokers).apply(topic)


@pytest.mark.parametrize(
    ("leader", "kind", "error"),
    [
        (1, ElectionType.PREFERRED, ErrorCode.ELECTION_NOT_NEEDED),
        (2, ElectionType.PREFERRED, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE),
        (-1, ElectionType.PREFERRED, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE),
        (2, ElectionType.UNCLEAN, ErrorCode.ELECTION_NOT_NEEDED),
        (-1, ElectionType.UNCLEAN, ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE),
    ],
)
def test_an_election_says_what_it_found(leader: int, kind: ElectionType, error: ErrorCode) -> None:
    result = elect_leader(image(leader, 1, 2), "a", 0, kind)
    assert result.error is error
    assert result.message


@pytest.mark.parametrize("replicas", [[1], [2, 1], [2]])
def test_replicas_are_not_moved(replicas: list[int]) -> None:
    found = image(1, 1, 2)
    assert reassign(found, "a", 0, [1, 2]).error is ErrorCode.NONE
    result = reassign(found, "a", 0, replicas)
    assert result.error is ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert "1, 2" in (result.message or "")
