"""Names and numbers that must not be mixed up. Times are integers of milliseconds since 1970 (UTC) throughout."""

from __future__ import annotations

import base64
from typing import NamedTuple, NewType

BrokerId = NewType("BrokerId", int)
LeaderEpoch = NewType("LeaderEpoch", int)
Offset = NewType("Offset", int)
ProducerId = NewType("ProducerId", int)
TopicId = NewType("TopicId", bytes)
"""16 bytes of a version-4 UUID, as on the wire (KIP-516)."""

NO_TOPIC_ID = TopicId(bytes(16))
NO_PRODUCER_ID = -1
NO_TIMESTAMP = -1


class TopicPartition(NamedTuple):
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


def topic_id_text(topic_id: bytes) -> str:
    """The form Kafka prints and stores in `partition.metadata`: URL-safe base64 without padding, 22 characters."""
    return base64.urlsafe_b64encode(topic_id).rstrip(b"=").decode()


def topic_id_from_text(text: str) -> TopicId:
    """Raises: ValueError if the text is not 22 characters of URL-safe base64."""
    raw = base64.urlsafe_b64decode(text + "==")
    if len(raw) != 16:
        raise ValueError(f"{text!r} is not a topic id")
    return TopicId(raw)
