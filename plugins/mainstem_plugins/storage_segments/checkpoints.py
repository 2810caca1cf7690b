"""Kafka's small text files: offset checkpoints, partition.metadata, meta.properties, the clean-shutdown mark.

Sources: `CheckpointFile`, `PartitionMetadataFile`, `PropertiesUtils` and `CleanShutdownFileHandler`, 4.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mainstem.model.ids import TopicId, TopicPartition, topic_id_from_text, topic_id_text


def encode_offsets(offsets: Mapping[TopicPartition, int]) -> bytes:
    """Version 0, count, then `topic partition offset` per line."""
    lines = ["0", str(len(offsets))]
    lines += [f"{tp.topic} {tp.partition} {offset}" for tp, offset in sorted(offsets.items())]
    return ("\n".join(lines) + "\n").encode()


def decode_offsets(content: bytes) -> dict[TopicPartition, int]:
    """Kafka leaves an empty file before its first checkpoint. Raises: ValueError if it is not a whole one of version 0."""
    if not content:
        return {}
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


def encode_properties(properties: Mapping[str, str]) -> bytes:
    """Java properties, without the date that Java puts on top."""
    lines = ["#", *(f"{key}={_escaped(value)}" for key, value in properties.items())]
    return ("\n".join(lines) + "\n").encode()


def _escaped(value: str) -> str:
    return "".join(f"\\{c}" if c in "\\=:#!" else c for c in value)


def decode_properties(content: bytes) -> dict[str, str]:
    """What Kafka and this store write: one `key=value` per line, `#` comments, a backslash before special characters.

    Raises: ValueError.
    """
    properties = {}
    for line in content.decode().splitlines():
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        key, found, value = line.partition("=")
        if not found:
            raise ValueError(f"{line!r} is not key=value")
        properties[key.strip()] = re.sub(r"\\(.)", r"\1", value.strip())
    return properties


def encode_clean_mark(broker_epoch: int) -> bytes:
    """As Kafka since KIP-966: `{"version":0,"brokerEpoch":9}`."""
    return b'{"version":0,"brokerEpoch":%d}' % broker_epoch


def encode_partition_metadata(topic_id: TopicId) -> bytes:
    return f"version: 0\ntopic_id: {topic_id_text(topic_id)}\n".encode()


def decode_partition_metadata(content: bytes) -> TopicId:
    """Raises: ValueError."""
    for line in content.decode().splitlines():
        key, _, value = line.partition(":")
        if key == "topic_id":
            return topic_id_from_text(value.strip())
    raise ValueError("partition.metadata has no topic_id")
