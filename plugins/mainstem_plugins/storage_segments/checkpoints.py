"""Kafka's small text files: offset checkpoints, partition.metadata, meta.properties. Source: `CheckpointFile`, 4.1."""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.model.ids import TopicId, TopicPartition, topic_id_from_text, topic_id_text


def encode_offsets(offsets: Mapping[TopicPartition, int]) -> bytes:
    """Version 0, count, then `topic partition offset` per line."""
    lines = ["0", str(len(offsets))]
    lines += [f"{tp.topic} {tp.partition} {offset}" for tp, offset in sorted(offsets.items())]
    return ("\n".join(lines) + "\n").encode()


def decode_offsets(content: bytes) -> dict[TopicPartition, int]:
    """Raises: ValueError if the file is not a whole checkpoint of version 0."""
    lines = content.decode().split("\n")
    if lines[0] != "0":
        raise ValueError(f"checkpoint version {lines[0]!r} is not 0")
    count = int(lines[1])
    offsets = {}
    for line in lines[2 : 2 + count]:
        topic, partition, offset = line.split(" ")
        offsets[TopicPartition(topic, int(partition))] = int(offset)
    if len(offsets) != count:
        raise ValueError(f"checkpoint says {count} entries and has {len(offsets)}")
    return offsets


def encode_partition_metadata(topic_id: TopicId) -> bytes:
    return f"version: 0\ntopic_id: {topic_id_text(topic_id)}\n".encode()


def decode_partition_metadata(content: bytes) -> TopicId:
    """Raises: ValueError."""
    for line in content.decode().splitlines():
        key, _, value = line.partition(":")
        if key == "topic_id":
            return topic_id_from_text(value.strip())
    raise ValueError("partition.metadata has no topic_id")
