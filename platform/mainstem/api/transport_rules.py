"""What every transport that keeps topics and groups of its own refuses alike."""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition

METADATA_BYTES_MAX = 4_096  # Kafka's offset.metadata.max.bytes

_POLICIES = frozenset({"delete", "compact", "compact,delete", "delete,compact"})


def cleanup_policy(topic: str, configs: Mapping[str, str]) -> str:
    """`delete`, `compact` or both, separated by a comma. Raises: TransportError."""
    policy = configs.get("cleanup.policy", "delete").replace(" ", "")
    if policy not in _POLICIES:
        raise TransportError(f"topic {topic} cannot be created: cleanup.policy {policy!r} is delete or compact")
    return policy


def check_metadata(partition: TopicPartition, metadata: str) -> None:
    """Of a committed offset. Raises: TransportError."""
    if len(metadata.encode()) > METADATA_BYTES_MAX:
        raise TransportError(f"metadata of {partition} has more than {METADATA_BYTES_MAX} bytes")
