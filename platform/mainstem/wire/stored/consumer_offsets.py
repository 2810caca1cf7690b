"""Records of `__consumer_offsets`: Kafka's bytes <-> the values that core.group persists.

Writes what Kafka 4.1 writes: group metadata in version 3, offsets in version 4, or in version 1 when a commit
carries its own retention, consumer groups in version 0. Reads all versions. Records of types it does not know (share and
streams groups) are left alone.
"""

from __future__ import annotations

from mainstem.core.group.records import (
    GroupMember,
    GroupRecord,
    GroupRemoved,
    GroupStored,
    OffsetRemoved,
    OffsetStored,
)
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.stored import group_metadata, offset_commit
from mainstem.wire.stored.consumer_group_records import KEYS as CONSUMER_GROUP_TYPES
from mainstem.wire.stored.consumer_group_records import KeyValue, decode_consumer_record, encode_consumer_record
from mainstem.wire.stored.group_metadata import GroupMetadataKey, GroupMetadataValue, MemberMetadata
from mainstem.wire.stored.layout import decode, encode, read_version
from mainstem.wire.stored.offset_commit import OffsetCommitKey, OffsetCommitValue

OFFSET_COMMIT_TYPES = (0, 1)
GROUP_METADATA_TYPE = 2
OFFSET_VERSION = 4
OFFSET_VERSION_WITH_RETENTION = 1
GROUP_VERSION = 3
NO_TIMESTAMP = -1


def encode_record(record: GroupRecord) -> KeyValue:
    match record:
        case OffsetStored():
            return KeyValue(_offset_key(record), _offset_value(record))
        case OffsetRemoved():
            return KeyValue(_offset_key(record), None)
        case GroupStored():
            return KeyValue(_group_key(record.group_id), _group_value(record))
        case GroupRemoved():
            return KeyValue(_group_key(record.group_id), None)
        case _:
            return encode_consumer_record(record)


def decode_record(key: bytes | None, value: bytes | None) -> GroupRecord | None:
    """None for record types of later features. Raises: MalformedMessage."""
    if key is None:
        raise MalformedMessage("a record of __consumer_offsets has no key")
    record_type = read_version(key)
    if record_type in OFFSET_COMMIT_TYPES:
        return _decode_offset(key, value)
    if record_type == GROUP_METADATA_TYPE:
        return _decode_group(key, value)
    if record_type in CONSUMER_GROUP_TYPES:
        return decode_consumer_record(record_type, key, value)
    return None


def _offset_key(record: OffsetStored | OffsetRemoved) -> bytes:
    key = OffsetCommitKey(group=record.group_id, topic=record.topic, partition=record.partition)
    return encode(offset_commit.KEY, OFFSET_COMMIT_TYPES[-1], key)


def _offset_value(record: OffsetStored) -> bytes:
    value = OffsetCommitValue(
        offset=record.offset,
        leader_epoch=record.leader_epoch,
        metadata=record.metadata,
        commit_timestamp=record.committed_at_ms,
        expire_timestamp=NO_TIMESTAMP if record.expire_at_ms is None else record.expire_at_ms,
        topic_id=record.topic_id,
    )
    version = OFFSET_VERSION if record.expire_at_ms is None else OFFSET_VERSION_WITH_RETENTION
    return encode(offset_commit.VALUE, version, value)


def _decode_offset(raw_key: bytes, raw_value: bytes | None) -> OffsetStored | OffsetRemoved:
    key = decode(offset_commit.KEY, raw_key)
    assert isinstance(key, OffsetCommitKey)
    if raw_value is None:
        return OffsetRemoved(group_id=key.group, topic=key.topic, partition=key.partition)
    value = decode(offset_commit.VALUE, raw_value)
    assert isinstance(value, OffsetCommitValue)
    return OffsetStored(
        group_id=key.group,
        topic=key.topic,
        partition=key.partition,
        offset=value.offset,
        leader_epoch=value.leader_epoch,
        metadata=value.metadata,
        committed_at_ms=value.commit_timestamp,
        expire_at_ms=None if value.expire_timestamp == NO_TIMESTAMP else value.expire_timestamp,
        topic_id=value.topic_id,
    )


def _group_key(group_id: str) -> bytes:
    return encode(group_metadata.KEY, GROUP_METADATA_TYPE, GroupMetadataKey(group=group_id))


def _group_value(record: GroupStored) -> bytes:
    value = GroupMetadataValue(
        protocol_type=record.protocol_type,
        generation=record.generation,
        protocol=record.protocol,
        leader=record.leader,
        current_state_timestamp=record.state_since_ms,
        members=[
            MemberMetadata(
                member_id=m.member_id,
                group_instance_id=m.group_instance_id,
                client_id=m.client_id,
                client_host=m.client_host,
                rebalance_timeout=m.rebalance_timeout_ms,
                session_timeout=m.session_timeout_ms,
                subscription=m.subscription,
                assignment=m.assignment,
            )
            for m in record.members
        ],
    )
    return encode(group_metadata.VALUE, GROUP_VERSION, value)


def _decode_group(raw_key: bytes, raw_value: bytes | None) -> GroupStored | GroupRemoved:
    key = decode(group_metadata.KEY, raw_key)
    assert isinstance(key, GroupMetadataKey)
    if raw_value is None:
        return GroupRemoved(group_id=key.group)
    value = decode(group_metadata.VALUE, raw_value)
    assert isinstance(value, GroupMetadataValue)
    return GroupStored(
        group_id=key.group,
        protocol_type=value.protocol_type,
        generation=value.generation,
        protocol=value.protocol,
        leader=value.leader,
        state_since_ms=value.current_state_timestamp,
        members=tuple(
            GroupMember(
                member_id=m.member_id,
                group_instance_id=m.group_instance_id,
                client_id=m.client_id,
                client_host=m.client_host,
                rebalance_timeout_ms=m.rebalance_timeout,
                session_timeout_ms=m.session_timeout,
                subscription=m.subscription,
                assignment=m.assignment,
            )
            for m in value.members
        ),
    )
