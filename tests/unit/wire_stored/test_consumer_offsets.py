"""Records of groups <-> bytes: all versions that Kafka 4.1 reads, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.group.commands import MemberProtocol
from mainstem.core.group.consumer_records import (
    ClassicMetadata,
    ConsumerGroupRemoved,
    ConsumerGroupStored,
    ConsumerMemberRemoved,
    ConsumerMemberStored,
    CurrentAssignmentRemoved,
    CurrentAssignmentStored,
    RegexRemoved,
    RegexStored,
    SubscriptionMetadataRemoved,
    SubscriptionMetadataStored,
    TargetAssignmentRemoved,
    TargetAssignmentStored,
    TargetEpochRemoved,
    TargetEpochStored,
)
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
from mainstem.wire.stored.consumer_offsets import decode_record, encode_record
from mainstem.wire.stored.group_metadata import GroupMetadataValue, MemberMetadata
from mainstem.wire.stored.layout import encode, read_version
from mainstem.wire.stored.offset_commit import OffsetCommitKey, OffsetCommitValue

names = st.text(max_size=20)
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
members = st.builds(
    GroupMember,
    member_id=names,
    group_instance_id=st.none() | names,
    client_id=names,
    client_host=names,
    rebalance_timeout_ms=int32,
    session_timeout_ms=int32,
    subscription=st.binary(max_size=40),
    assignment=st.binary(max_size=40),
)
partitions = st.dictionaries(st.binary(min_size=16, max_size=16), st.lists(int32, max_size=3).map(tuple), max_size=3)
classic = st.builds(
    ClassicMetadata,
    session_timeout_ms=int32,
    protocols=st.lists(st.builds(MemberProtocol, names, st.binary(max_size=20)), max_size=2).map(tuple),
)
consumer_records = st.one_of(
    st.builds(ConsumerGroupStored, group_id=names, epoch=int32, metadata_hash=int64),
    st.builds(ConsumerGroupRemoved, group_id=names),
    st.builds(SubscriptionMetadataRemoved, group_id=names),
    st.builds(
        ConsumerMemberStored,
        group_id=names,
        member_id=names,
        instance_id=st.none() | names,
        rack_id=st.none() | names,
        client_id=names,
        client_host=names,
        topics=st.lists(names, max_size=3).map(tuple),
        regex=st.none() | names,
        rebalance_timeout_ms=int32,
        server_assignor=st.none() | names,
        classic=st.none() | classic,
    ),
    st.builds(ConsumerMemberRemoved, group_id=names, member_id=names),
    st.builds(TargetEpochStored, group_id=names, epoch=int32),
    st.builds(TargetEpochRemoved, group_id=names),
    st.builds(TargetAssignmentStored, group_id=names, member_id=names, partitions=partitions),
    st.builds(TargetAssignmentRemoved, group_id=names, member_id=names),
    st.builds(
        CurrentAssignmentStored,
        group_id=names,
        member_id=names,
        member_epoch=int32,
        previous_member_epoch=int32,
        state=st.integers(-128, 127),
        assigned=partitions,
        pending_revocation=partitions,
    ),
    st.builds(CurrentAssignmentRemoved, group_id=names, member_id=names),
    st.builds(
        RegexStored,
        group_id=names,
        regex=names,
        topics=st.lists(names, max_size=3).map(tuple),
        version=int64,
        resolved_at_ms=int64,
    ),
    st.builds(RegexRemoved, group_id=names, regex=names),
)
records = consumer_records | st.one_of(
    st.builds(
        OffsetStored,
        group_id=names,
        topic=names,
        partition=int32,
        offset=int64,
        leader_epoch=int32,
        metadata=names,
        committed_at_ms=int64,
        topic_id=st.binary(min_size=16, max_size=16),
    ),
    # Version 1, for commits with their own retention, has no place for a leader epoch or a topic id.
    st.builds(
        OffsetStored,
        group_id=names,
        topic=names,
        partition=int32,
        offset=int64,
        leader_epoch=st.just(-1),
        metadata=names,
        committed_at_ms=int64,
        expire_at_ms=st.integers(0, 2**63 - 1),
    ),
    st.builds(OffsetRemoved, group_id=names, topic=names, partition=int32),
    st.builds(GroupRemoved, group_id=names),
    st.builds(
        GroupStored,
        group_id=names,
        protocol_type=names,
        generation=int32,
        protocol=st.none() | names,
        leader=st.none() | names,
        state_since_ms=int64,
        members=st.lists(members, max_size=3).map(tuple),
    ),
)


@given(records)
def test_what_is_written_is_read_back(record: GroupRecord) -> None:
    assert decode_record(*encode_record(record)) == record


@given(records, st.data())
def test_no_cut_off_record_is_taken_for_a_whole_one(record: GroupRecord, data: st.DataObject) -> None:
    key, value = encode_record(record)
    with pytest.raises(MalformedMessage):
        decode_record(key[: data.draw(st.integers(0, len(key) - 1))], value)
    if value is not None:
        with pytest.raises(MalformedMessage):
            decode_record(key, value[: data.draw(st.integers(0, len(value) - 1))])


@given(st.binary(max_size=60), st.binary(max_size=60) | st.none())
def test_garbage_is_refused_or_left_alone(key: bytes, value: bytes | None) -> None:
    try:
        record = decode_record(key, value)
    except MalformedMessage:
        return
    assert record is None or isinstance(record, GroupRecord)


def test_a_commit_is_written_in_version_4_and_with_its_own_retention_in_version_1() -> None:
    plain = OffsetStored(
        group_id="g", topic="t", partition=0, offset=1, leader_epoch=5, metadata="m", committed_at_ms=7
    )
    _, value = encode_record(plain)
    assert value == bytes.fromhex("0004 0000000000000001 00000005 02 6d 0000000000000007 00")
    kept = OffsetStored(
        group_id="g",
        topic="t",
        partition=0,
        offset=1,
        leader_epoch=5,
        metadata="m",
        committed_at_ms=7,
        expire_at_ms=9,
    )
    _, value = encode_record(kept)
    assert value == bytes.fromhex("0001 0000000000000001 0001 6d 0000000000000007 0000000000000009")


@pytest.mark.parametrize("version", range(5))
def test_every_version_of_an_offset_is_read(version: int) -> None:
    key = encode(offset_commit.KEY, 1, OffsetCommitKey(group="g", topic="t", partition=3))
    written = OffsetCommitValue(offset=11, leader_epoch=4, metadata="meta", commit_timestamp=100, expire_timestamp=200)
    record = decode_record(key, encode(offset_commit.VALUE, version, written))
    assert record == OffsetStored(
        group_id="g",
        topic="t",
        partition=3,
        offset=11,
        leader_epoch=4 if version >= 3 else -1,
        metadata="meta",
        committed_at_ms=100,
        expire_at_ms=200 if version == 1 else None,
    )


@pytest.mark.parametrize("version", range(5))
def test_every_version_of_a_group_is_read(version: int) -> None:
    member = MemberMetadata(
        member_id="m",
        group_instance_id="i",
        client_id="c",
        client_host="/h",
        rebalance_timeout=30,
        session_timeout=10,
        subscription=b"s",
        assignment=b"a",
    )
    written = GroupMetadataValue(
        protocol_type="consumer",
        generation=2,
        protocol="range",
        leader="m",
        current_state_timestamp=99,
        members=[member],
    )
    key = encode(group_metadata.KEY, 2, group_metadata.GroupMetadataKey(group="g"))
    record = decode_record(key, encode(group_metadata.VALUE, version, written))
    assert record == GroupStored(
        group_id="g",
        protocol_type="consumer",
        generation=2,
        protocol="range",
        leader="m",
        state_since_ms=99 if version >= 2 else -1,
        members=(
            GroupMember(
                member_id="m",
                group_instance_id="i" if version >= 3 else None,
                client_id="c",
                client_host="/h",
                rebalance_timeout_ms=30 if version >= 1 else -1,
                session_timeout_ms=10,
                subscription=b"s",
                assignment=b"a",
            ),
        ),
    )


def test_the_older_key_type_of_offsets_is_read() -> None:
    key = encode(offset_commit.KEY, 0, OffsetCommitKey(group="g", topic="t", partition=3))
    assert decode_record(key, None) == OffsetRemoved(group_id="g", topic="t", partition=3)


@pytest.mark.parametrize("record_type", [9, 10, 15, 17, 22, 999])
def test_record_types_of_later_features_are_left_alone(record_type: int) -> None:
    assert decode_record(record_type.to_bytes(2, "big") + b"anything", b"anything") is None


def test_an_unknown_version_of_a_value_is_refused_by_name() -> None:
    key, _ = encode_record(GroupRemoved(group_id="g"))
    with pytest.raises(MalformedMessage, match="GroupMetadataValue version 5 is not within 0-4"):
        decode_record(key, b"\0\5rest")


def test_a_record_without_a_key_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="no key"):
        decode_record(None, b"")


def test_bytes_left_over_are_refused() -> None:
    key, _ = encode_record(GroupRemoved(group_id="g"))
    with pytest.raises(MalformedMessage, match="leaves 1 bytes over"):
        decode_record(key + b"x", None)


def test_keys_begin_with_their_type() -> None:
    assert read_version(encode_record(OffsetRemoved(group_id="g", topic="t", partition=0)).key) == 1
    assert read_version(encode_record(GroupRemoved(group_id="g")).key) == 2


def test_topic_metadata_of_kafka_4_0_is_kept_as_it_lies() -> None:
    """One topic of one partition in one rack; 4.1 writes none of these any more."""
    key, tombstone = encode_record(SubscriptionMetadataRemoved(group_id="g"))
    value = bytes.fromhex("0000 02") + bytes(range(16)) + bytes.fromhex("02 74 00000001 02 00000000 02 02 72 00 00 00")
    record = decode_record(key, value)
    assert tombstone is None
    assert record == SubscriptionMetadataStored(group_id="g", value=value)
    assert encode_record(record) == (key, value)
    with pytest.raises(MalformedMessage):
        decode_record(key, value[:-1])


def test_a_member_without_classic_metadata_says_so() -> None:
    """Java's generated code writes the null; without the field Kafka would take the member for a classic one."""
    member = ConsumerMemberStored(
        group_id="g",
        member_id="m",
        instance_id=None,
        rack_id=None,
        client_id="",
        client_host="",
        topics=(),
        regex="",
        rebalance_timeout_ms=1,
        server_assignor=None,
    )
    _, value = encode_record(member)
    assert value == bytes.fromhex("0000 00 00 01 01 01 01 00000001 00 01 00 01 00")
