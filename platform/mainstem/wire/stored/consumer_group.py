"""Record types 3 to 8 and 16 of `__consumer_offsets`: consumer groups (KIP-848). As schemas/records/ConsumerGroup*.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mainstem.wire.schema import ZERO_UUID, Field, Message
from mainstem.wire.stored.layout import StoredSchema

_GROUP_ID, _MEMBER_ID = "group_id", "member_id"


class ConsumerGroupMetadataKey(Message, frozen=True, kw_only=True):
    group_id: str = ""

    layout: ClassVar[tuple[Field, ...]] = (Field(_GROUP_ID, "string", 3, 3, None, None),)


class ConsumerGroupMetadataValue(Message, frozen=True, kw_only=True):
    epoch: int = 0
    metadata_hash: int = 0

    layout: ClassVar[tuple[Field, ...]] = (
        Field("epoch", "int32", 0, 0, None, None),
        Field("metadata_hash", "int64", 0, 0, None, 0),
    )


class ConsumerGroupPartitionMetadataKey(Message, frozen=True, kw_only=True):
    group_id: str = ""

    layout: ClassVar[tuple[Field, ...]] = (Field(_GROUP_ID, "string", 4, 4, None, None),)


class PartitionMetadata(Message, frozen=True, kw_only=True):
    partition: int = 0
    racks: Sequence[str] = ()

    layout: ClassVar[tuple[Field, ...]] = (
        Field("partition", "int32", 0, 0, None, None),
        Field("racks", "[]string", 0, 0, None, None),
    )


class TopicMetadata(Message, frozen=True, kw_only=True):
    topic_id: bytes = ZERO_UUID
    topic_name: str = ""
    num_partitions: int = 0
    partition_metadata: Sequence[PartitionMetadata] = ()

    layout: ClassVar[tuple[Field, ...]] = (
        Field("topic_id", "uuid", 0, 0, None, None),
        Field("topic_name", "string", 0, 0, None, None),
        Field("num_partitions", "int32", 0, 0, None, None),
        Field("partition_metadata", "[]PartitionMetadata", 0, 0, None, None),
    )


class ConsumerGroupPartitionMetadataValue(Message, frozen=True, kw_only=True):
    topics: Sequence[TopicMetadata] = ()

    layout: ClassVar[tuple[Field, ...]] = (Field("topics", "[]TopicMetadata", 0, 0, None, None),)


class ConsumerGroupMemberMetadataKey(Message, frozen=True, kw_only=True):
    group_id: str = ""
    member_id: str = ""

    layout: ClassVar[tuple[Field, ...]] = (
        Field(_GROUP_ID, "string", 5, 5, None, None),
        Field(_MEMBER_ID, "string", 5, 5, None, None),
    )


class ClassicProtocol(Message, frozen=True, kw_only=True):
    name: str = ""
    metadata: bytes = b""

    layout: ClassVar[tuple[Field, ...]] = (
        Field("name", "string", 0, 0, None, None),
        Field("metadata", "bytes", 0, 0, None, None),
    )


class ClassicMemberMetadata(Message, frozen=True, kw_only=True):
    session_timeout_ms: int = 0
    supported_protocols: Sequence[ClassicProtocol] = ()

    layout: ClassVar[tuple[Field, ...]] = (
        Field("session_timeout_ms", "int32", 0, 0, None, None),
        Field("supported_protocols", "[]ClassicProtocol", 0, 0, None, None),
    )


class ConsumerGroupMemberMetadataValue(Message, frozen=True, kw_only=True):
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    subscribed_topic_names: Sequence[str] = ()
    subscribed_topic_regex: str | None = None
    rebalance_timeout_ms: int = -1
    server_assignor: str | None = None
    classic_member_metadata: ClassicMemberMetadata | None = None

    layout: ClassVar[tuple[Field, ...]] = (
        Field("instance_id", "string", 0, 0, (0, 0), None),
        Field("rack_id", "string", 0, 0, (0, 0), None),
        Field("client_id", "string", 0, 0, None, None),
        Field("client_host", "string", 0, 0, None, None),
        Field("subscribed_topic_names", "[]string", 0, 0, None, None),
        Field("subscribed_topic_regex", "string", 0, 0, (0, 0), None),
        Field("rebalance_timeout_ms", "int32", 0, 0, None, None),
        Field("server_assignor", "string", 0, 0, (0, 0), None),
        Field("classic_member_metadata", "ClassicMemberMetadata", 0, 0, (0, 0), 0),
    )


class ConsumerGroupTargetAssignmentMetadataKey(Message, frozen=True, kw_only=True):
    group_id: str = ""

    layout: ClassVar[tuple[Field, ...]] = (Field(_GROUP_ID, "string", 6, 6, None, None),)


class ConsumerGroupTargetAssignmentMetadataValue(Message, frozen=True, kw_only=True):
    assignment_epoch: int = 0

    layout: ClassVar[tuple[Field, ...]] = (Field("assignment_epoch", "int32", 0, 0, None, None),)


class ConsumerGroupTargetAssignmentMemberKey(Message, frozen=True, kw_only=True):
    group_id: str = ""
    member_id: str = ""

    layout: ClassVar[tuple[Field, ...]] = (
        Field(_GROUP_ID, "string", 7, 7, None, None),
        Field(_MEMBER_ID, "string", 7, 7, None, None),
    )


class TopicPartitions(Message, frozen=True, kw_only=True):
    topic_id: bytes = ZERO_UUID
    partitions: Sequence[int] = ()

    layout: ClassVar[tuple[Field, ...]] = (
        Field("topic_id", "uuid", 0, 0, None, None),
        Field("partitions", "[]int32", 0, 0, None, None),
    )


class ConsumerGroupTargetAssignmentMemberValue(Message, frozen=True, kw_only=True):
    topic_partitions: Sequence[TopicPartitions] = ()

    layout: ClassVar[tuple[Field, ...]] = (Field("topic_partitions", "[]TopicPartitions", 0, 0, None, None),)


class ConsumerGroupCurrentMemberAssignmentKey(Message, frozen=True, kw_only=True):
    group_id: str = ""
    member_id: str = ""

    layout: ClassVar[tuple[Field, ...]] = (
        Field(_GROUP_ID, "string", 8, 8, None, None),
        Field(_MEMBER_ID, "string", 8, 8, None, None),
    )


class ConsumerGroupCurrentMemberAssignmentValue(Message, frozen=True, kw_only=True):
    member_epoch: int = 0
    previous_member_epoch: int = 0
    state: int = 0
    assigned_partitions: Sequence[TopicPartitions] = ()
    partitions_pending_revocation: Sequence[TopicPartitions] = ()

    layout: ClassVar[tuple[Field, ...]] = (
        Field("member_epoch", "int32", 0, 0, None, None),
        Field("previous_member_epoch", "int32", 0, 0, None, None),
        Field("state", "int8", 0, 0, None, None),
        Field("assigned_partitions", "[]TopicPartitions", 0, 0, None, None),
        Field("partitions_pending_revocation", "[]TopicPartitions", 0, 0, None, None),
    )


class ConsumerGroupRegularExpressionKey(Message, frozen=True, kw_only=True):
    group_id: str = ""
    regular_expression: str = ""

    layout: ClassVar[tuple[Field, ...]] = (
        Field(_GROUP_ID, "string", 16, 16, None, None),
        Field("regular_expression", "string", 16, 16, None, None),
    )


class ConsumerGroupRegularExpressionValue(Message, frozen=True, kw_only=True):
    topics: Sequence[str] = ()
    version: int = 0
    timestamp: int = 0

    layout: ClassVar[tuple[Field, ...]] = (
        Field("topics", "[]string", 0, 0, None, None),
        Field("version", "int64", 0, 0, None, None),
        Field("timestamp", "int64", 0, 0, None, None),
    )


def _key(message: type[Message], record_type: int) -> StoredSchema:
    return StoredSchema(message, versions=(record_type, record_type), flexible_from=None)


def _value(message: type[Message]) -> StoredSchema:
    return StoredSchema(message, versions=(0, 0), flexible_from=0)


GROUP_KEY, GROUP_VALUE = _key(ConsumerGroupMetadataKey, 3), _value(ConsumerGroupMetadataValue)
TOPICS_KEY, TOPICS_VALUE = _key(ConsumerGroupPartitionMetadataKey, 4), _value(ConsumerGroupPartitionMetadataValue)
MEMBER_KEY, MEMBER_VALUE = _key(ConsumerGroupMemberMetadataKey, 5), _value(ConsumerGroupMemberMetadataValue)
TARGET_EPOCH_KEY = _key(ConsumerGroupTargetAssignmentMetadataKey, 6)
TARGET_EPOCH_VALUE = _value(ConsumerGroupTargetAssignmentMetadataValue)
TARGET_KEY = _key(ConsumerGroupTargetAssignmentMemberKey, 7)
TARGET_VALUE = _value(ConsumerGroupTargetAssignmentMemberValue)
CURRENT_KEY = _key(ConsumerGroupCurrentMemberAssignmentKey, 8)
CURRENT_VALUE = _value(ConsumerGroupCurrentMemberAssignmentValue)
REGEX_KEY, REGEX_VALUE = _key(ConsumerGroupRegularExpressionKey, 16), _value(ConsumerGroupRegularExpressionValue)
