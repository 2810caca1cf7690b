"""Records of consumer groups: Kafka's bytes <-> the values that core.group persists. In version 0, the only one there is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, assert_never

from mainstem.core.group.commands import MemberProtocol
from mainstem.core.group.consumer_records import (
    ClassicMetadata,
    ConsumerGroupRemoved,
    ConsumerGroupStored,
    ConsumerMemberRemoved,
    ConsumerMemberStored,
    ConsumerRecord,
    CurrentAssignmentRemoved,
    CurrentAssignmentStored,
    RegexRemoved,
    RegexStored,
    StoredPartitions,
    SubscriptionMetadataRemoved,
    SubscriptionMetadataStored,
    TargetAssignmentRemoved,
    TargetAssignmentStored,
    TargetEpochRemoved,
    TargetEpochStored,
)
from mainstem.wire.schema import Message
from mainstem.wire.stored import consumer_group as schema
from mainstem.wire.stored.layout import StoredSchema, decode, encode


class KeyValue(NamedTuple):
    """`value` None is a tombstone."""

    key: bytes
    value: bytes | None


KEYS: dict[int, StoredSchema] = {
    key.versions[0]: key
    for key in (
        schema.GROUP_KEY,
        schema.TOPICS_KEY,
        schema.MEMBER_KEY,
        schema.TARGET_EPOCH_KEY,
        schema.TARGET_KEY,
        schema.CURRENT_KEY,
        schema.REGEX_KEY,
    )
}


def encode_consumer_record(record: ConsumerRecord) -> KeyValue:
    match record:
        case ConsumerGroupStored() | ConsumerGroupRemoved():
            key = _key(schema.GROUP_KEY, group_id=record.group_id)
        case SubscriptionMetadataStored() | SubscriptionMetadataRemoved():
            key = _key(schema.TOPICS_KEY, group_id=record.group_id)
        case TargetEpochStored() | TargetEpochRemoved():
            key = _key(schema.TARGET_EPOCH_KEY, group_id=record.group_id)
        case ConsumerMemberStored() | ConsumerMemberRemoved():
            key = _key(schema.MEMBER_KEY, group_id=record.group_id, member_id=record.member_id)
        case TargetAssignmentStored() | TargetAssignmentRemoved():
            key = _key(schema.TARGET_KEY, group_id=record.group_id, member_id=record.member_id)
        case CurrentAssignmentStored() | CurrentAssignmentRemoved():
            key = _key(schema.CURRENT_KEY, group_id=record.group_id, member_id=record.member_id)
        case RegexStored() | RegexRemoved():
            key = _key(schema.REGEX_KEY, group_id=record.group_id, regular_expression=record.regex)
        case _:
            assert_never(record)
    return KeyValue(key, _encoded_value(record))


def _key(key: StoredSchema, **fields: str) -> bytes:
    return encode(key, key.versions[0], key.message(**fields))


def _encoded_value(record: ConsumerRecord) -> bytes | None:
    match record:
        case ConsumerGroupStored():
            value = schema.ConsumerGroupMetadataValue(epoch=record.epoch, metadata_hash=record.metadata_hash)
            return encode(schema.GROUP_VALUE, 0, value)
        case SubscriptionMetadataStored():
            return record.value
        case TargetEpochStored():
            epoch = schema.ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=record.epoch)
            return encode(schema.TARGET_EPOCH_VALUE, 0, epoch)
        case ConsumerMemberStored():
            return encode(schema.MEMBER_VALUE, 0, _member_value(record))
        case TargetAssignmentStored():
            target = schema.ConsumerGroupTargetAssignmentMemberValue(topic_partitions=_listed(record.partitions))
            return encode(schema.TARGET_VALUE, 0, target)
        case CurrentAssignmentStored():
            current = schema.ConsumerGroupCurrentMemberAssignmentValue(
                member_epoch=record.member_epoch,
                previous_member_epoch=record.previous_member_epoch,
                state=record.state,
                assigned_partitions=_listed(record.assigned),
                partitions_pending_revocation=_listed(record.pending_revocation),
            )
            return encode(schema.CURRENT_VALUE, 0, current)
        case RegexStored():
            regex = schema.ConsumerGroupRegularExpressionValue(
                topics=record.topics, version=record.version, timestamp=record.resolved_at_ms
            )
            return encode(schema.REGEX_VALUE, 0, regex)
        case _:
            return None


def _member_value(record: ConsumerMemberStored) -> Message:
    classic = record.classic
    return schema.ConsumerGroupMemberMetadataValue(
        instance_id=record.instance_id,
        rack_id=record.rack_id,
        client_id=record.client_id,
        client_host=record.client_host,
        subscribed_topic_names=record.topics,
        subscribed_topic_regex=record.regex,
        rebalance_timeout_ms=record.rebalance_timeout_ms,
        server_assignor=record.server_assignor,
        classic_member_metadata=None
        if classic is None
        else schema.ClassicMemberMetadata(
            session_timeout_ms=classic.session_timeout_ms,
            supported_protocols=[schema.ClassicProtocol(name=p.name, metadata=p.metadata) for p in classic.protocols],
        ),
    )


def _listed(partitions: StoredPartitions) -> list[schema.TopicPartitions]:
    return [schema.TopicPartitions(topic_id=t, partitions=indexes) for t, indexes in partitions.items()]


def decode_consumer_record(record_type: int, raw_key: bytes, raw_value: bytes | None) -> ConsumerRecord:
    """`record_type` is one of `KEYS`. Raises: MalformedMessage."""
    key: Any = decode(KEYS[record_type], raw_key)
    match key:
        case schema.ConsumerGroupMetadataKey():
            return _group(key.group_id, raw_value)
        case schema.ConsumerGroupPartitionMetadataKey():
            if raw_value is None:
                return SubscriptionMetadataRemoved(group_id=key.group_id)
            decode(schema.TOPICS_VALUE, raw_value)
            return SubscriptionMetadataStored(group_id=key.group_id, value=raw_value)
        case schema.ConsumerGroupTargetAssignmentMetadataKey():
            return _target_epoch(key.group_id, raw_value)
        case schema.ConsumerGroupMemberMetadataKey():
            return _member(key.group_id, key.member_id, raw_value)
        case schema.ConsumerGroupTargetAssignmentMemberKey():
            return _target(key.group_id, key.member_id, raw_value)
        case schema.ConsumerGroupCurrentMemberAssignmentKey():
            return _current(key.group_id, key.member_id, raw_value)
        case _:
            return _regex(key.group_id, key.regular_expression, raw_value)


def _group(group_id: str, raw: bytes | None) -> ConsumerRecord:
    if raw is None:
        return ConsumerGroupRemoved(group_id=group_id)
    value: Any = decode(schema.GROUP_VALUE, raw)
    return ConsumerGroupStored(group_id=group_id, epoch=value.epoch, metadata_hash=value.metadata_hash)


def _target_epoch(group_id: str, raw: bytes | None) -> ConsumerRecord:
    if raw is None:
        return TargetEpochRemoved(group_id=group_id)
    value: Any = decode(schema.TARGET_EPOCH_VALUE, raw)
    return TargetEpochStored(group_id=group_id, epoch=value.assignment_epoch)


def _member(group_id: str, member_id: str, raw: bytes | None) -> ConsumerRecord:
    if raw is None:
        return ConsumerMemberRemoved(group_id=group_id, member_id=member_id)
    value: Any = decode(schema.MEMBER_VALUE, raw)
    classic = value.classic_member_metadata
    return ConsumerMemberStored(
        group_id=group_id,
        member_id=member_id,
        instance_id=value.instance_id,
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        topics=tuple(value.subscribed_topic_names),
        regex=value.subscribed_topic_regex,
        rebalance_timeout_ms=value.rebalance_timeout_ms,
        server_assignor=value.server_assignor,
        classic=None
        if classic is None
        else ClassicMetadata(
            session_timeout_ms=classic.session_timeout_ms,
            protocols=tuple(MemberProtocol(p.name, p.metadata) for p in classic.supported_protocols),
        ),
    )


def _target(group_id: str, member_id: str, raw: bytes | None) -> ConsumerRecord:
    if raw is None:
        return TargetAssignmentRemoved(group_id=group_id, member_id=member_id)
    value: Any = decode(schema.TARGET_VALUE, raw)
    return TargetAssignmentStored(
        group_id=group_id, member_id=member_id, partitions=_partitions(value.topic_partitions)
    )


def _current(group_id: str, member_id: str, raw: bytes | None) -> ConsumerRecord:
    if raw is None:
        return CurrentAssignmentRemoved(group_id=group_id, member_id=member_id)
    value: Any = decode(schema.CURRENT_VALUE, raw)
    return CurrentAssignmentStored(
        group_id=group_id,
        member_id=member_id,
        member_epoch=value.member_epoch,
        previous_member_epoch=value.previous_member_epoch,
        state=value.state,
        assigned=_partitions(value.assigned_partitions),
        pending_revocation=_partitions(value.partitions_pending_revocation),
    )


def _partitions(listed: Iterable[schema.TopicPartitions]) -> StoredPartitions:
    return {topic.topic_id: tuple(topic.partitions) for topic in listed}


def _regex(group_id: str, regex: str, raw: bytes | None) -> ConsumerRecord:
    if raw is None:
        return RegexRemoved(group_id=group_id, regex=regex)
    value: Any = decode(schema.REGEX_VALUE, raw)
    return RegexStored(
        group_id=group_id,
        regex=regex,
        topics=tuple(value.topics),
        version=value.version,
        resolved_at_ms=value.timestamp,
    )
