"""Record types 0 and 1 of `__consumer_offsets`: a committed offset. The tables say what
schemas/records/OffsetCommit*.json say."""

from __future__ import annotations

from typing import ClassVar

from mainstem.wire.schema import ZERO_UUID, Field, Message
from mainstem.wire.stored.layout import StoredSchema


class OffsetCommitKey(Message, frozen=True, kw_only=True):
    group: str = ""
    topic: str = ""
    partition: int = 0

    layout: ClassVar[tuple[Field, ...]] = (
        Field("group", "string", 0, 1, None, None),
        Field("topic", "string", 0, 1, None, None),
        Field("partition", "int32", 0, 1, None, None),
    )


class OffsetCommitValue(Message, frozen=True, kw_only=True):
    """Timestamps in ms. `expire_timestamp` is -1 unless the commit carried its own retention."""

    offset: int = 0
    leader_epoch: int = -1
    metadata: str = ""
    commit_timestamp: int = 0
    expire_timestamp: int = -1
    topic_id: bytes = ZERO_UUID

    layout: ClassVar[tuple[Field, ...]] = (
        Field("offset", "int64", 0, 4, None, None),
        Field("leader_epoch", "int32", 3, 4, None, None),
        Field("metadata", "string", 0, 4, None, None),
        Field("commit_timestamp", "int64", 0, 4, None, None),
        Field("expire_timestamp", "int64", 1, 1, None, None),
        Field("topic_id", "uuid", 4, 4, None, 0),
    )


KEY = StoredSchema(OffsetCommitKey, versions=(0, 1), flexible_from=None)
VALUE = StoredSchema(OffsetCommitValue, versions=(0, 4), flexible_from=4)
