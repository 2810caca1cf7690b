"""Names of keys. All of one prefix have one hash tag: `{mainstem}:stream:orders:0`."""

from __future__ import annotations

from mainstem.model.ids import TopicPartition


def topic_key(base: str, topic: str) -> str:
    """A hash: id, partitions and configs, and start, end, bytes of every partition."""
    return f"{base}topic:{topic}"


def stream_key(base: str, partition: TopicPartition) -> str:
    return f"{base}stream:{place_of(partition)}"


def wake_key(base: str, group_id: str) -> str:
    """A stream of one entry, whose id is the group's version."""
    return f"{base}group.wake:{group_id}"


def offsets_key(base: str, group_id: str) -> str:
    return f"{base}group.offsets:{group_id}"


def place_of(partition: TopicPartition) -> str:
    """As fields of hashes name a partition."""
    return f"{partition.topic}:{partition.partition}"


def partition_at(place: bytes) -> TopicPartition:
    topic, _, number = place.decode().rpartition(":")
    return TopicPartition(topic, int(number))
