"""The requests of group members and what is read from the answers, against the codec of the broker."""

from __future__ import annotations

import pytest
import wire_groups
import wire_setup
from wire_groups import Membership

from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.codec import decode, decode_header, encode_response, request_schema
from mainstem.wire.messages.find_coordinator import FindCoordinatorResponse
from mainstem.wire.messages.heartbeat import HeartbeatResponse
from mainstem.wire.messages.join_group import JoinGroupResponse
from mainstem.wire.messages.metadata import MetadataResponse, MetadataResponsePartition, MetadataResponseTopic
from mainstem.wire.messages.offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from mainstem.wire.messages.sync_group import SyncGroupResponse
from mainstem.wire.schema import Message

MEMBER = Membership("readers", "reader-1", 7)


def meant(frame: bytes, api: ApiKey) -> tuple[int, Message]:
    view = memoryview(frame)[4:]
    header = decode_header(view, FLEXIBLE_FROM[api])
    assert header.api_key == api
    return header.api_version, decode(request_schema(api), header.api_version, view, header.body)


def fields(message: Message, *names: str) -> list[object]:
    return [getattr(message, name) for name in names]


def test_join_and_sync_are_read_as_they_were_meant() -> None:
    _, join = meant(wire_groups.join_group_request("readers", "reader-1"), ApiKey.JOIN_GROUP)
    assert fields(join, "group_id", "member_id", "group_instance_id", "protocol_type") == [
        "readers",
        "reader-1",
        None,
        "consumer",
    ]
    _, sync = meant(wire_groups.sync_group_request(MEMBER), ApiKey.SYNC_GROUP)
    assert fields(sync, "group_id", "generation_id", "member_id") == ["readers", 7, "reader-1"]
    _, find = meant(wire_groups.find_coordinator_request("readers"), ApiKey.FIND_COORDINATOR)
    assert fields(find, "key", "key_type") == ["readers", 0]


def test_heartbeats_and_commits_are_read_as_they_were_meant() -> None:
    _, heartbeat = meant(wire_groups.heartbeat_request(MEMBER), ApiKey.HEARTBEAT)
    assert fields(heartbeat, "group_id", "generation_id", "member_id") == ["readers", 7, "reader-1"]
    frame, offset_at = wire_groups.offset_commit_request(MEMBER, "orders")
    moved = bytearray(frame)
    moved[offset_at : offset_at + 8] = (1_234).to_bytes(8, "big")
    _, commit = meant(bytes(moved), ApiKey.OFFSET_COMMIT)
    ((topic,),) = fields(commit, "topics")  # type: ignore[misc]  # a sequence with one topic
    assert (topic.name, topic.partitions[0].partition_index, topic.partitions[0].committed_offset) == (
        "orders",
        0,
        1_234,
    )


@pytest.mark.parametrize("error", [0, 16])
def test_answers_are_read(error: int) -> None:
    join = JoinGroupResponse(error_code=error, generation_id=7, protocol_name="range", leader="l", member_id="m-1")
    assert wire_groups.read_join_group(encode_response(ApiKey.JOIN_GROUP, 5, 0, join)[4:]) == (error, 7, "m-1")
    for api, answer in (
        (ApiKey.SYNC_GROUP, SyncGroupResponse(error_code=error)),
        (ApiKey.HEARTBEAT, HeartbeatResponse(error_code=error)),
    ):
        assert wire_groups.read_error(encode_response(api, 3, 0, answer)[4:]) == error
    found = FindCoordinatorResponse(error_code=error, node_id=1, host="h", port=1)
    assert wire_groups.read_find_coordinator(encode_response(ApiKey.FIND_COORDINATOR, 2, 0, found)[4:]) == error
    partition = OffsetCommitResponsePartition(partition_index=0, error_code=error)
    committed = OffsetCommitResponse(topics=[OffsetCommitResponseTopic(name="orders", partitions=[partition])])
    assert wire_groups.read_offset_commit(encode_response(ApiKey.OFFSET_COMMIT, 7, 0, committed)[4:]) == error


def test_partitions_with_a_leader_are_counted() -> None:
    led = MetadataResponsePartition(partition_index=0, leader_id=1, replica_nodes=[1], isr_nodes=[1])
    waiting = MetadataResponsePartition(partition_index=1, leader_id=-1, error_code=5)
    topics = [
        MetadataResponseTopic(name="a", partitions=[led, waiting, led]),
        MetadataResponseTopic(name="__consumer_offsets", is_internal=True, partitions=[led]),
        MetadataResponseTopic(name="b", partitions=[led]),
    ]
    frame = encode_response(ApiKey.METADATA, 12, 0, MetadataResponse(topics=topics, cluster_id="c"))
    assert wire_setup.count_led_partitions(frame[4:]) == 3
