"""Logs of `__consumer_offsets` that Apache Kafka 4.1 wrote, against its own DumpLogSegments, and written
again.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mainstem.core.group.consumer_records import (
    ConsumerGroupStored,
    ConsumerMemberRemoved,
    ConsumerMemberStored,
    CurrentAssignmentRemoved,
    CurrentAssignmentStored,
    TargetAssignmentRemoved,
    TargetAssignmentStored,
    TargetEpochStored,
)
from mainstem.core.group.metadata_hash import group_hash, topic_hash
from mainstem.core.group.records import GroupRemoved, GroupStored, OffsetRemoved, OffsetStored
from mainstem.core.group.subscription import subscribed_topics
from mainstem.model.ids import topic_id_from_text
from mainstem.model.records import decode
from mainstem.wire.stored.consumer_offsets import KeyValue, decode_record, encode_record
from mainstem.wire.stored.layout import read_version

DATA = Path(__file__).parents[2] / "data" / "kafka-4.1-consumer-offsets"
PARTITIONS = (8, 32, 41, 49)
_RECORD = re.compile(r"^\| offset: (\d+) .*? key: (\{.*?\}) payload: (.*)$")


def stored_records(partition: int) -> dict[int, KeyValue]:
    columns = decode((DATA / f"{partition}.log").read_bytes())
    return {
        offset: KeyValue(key or b"", value)
        for offset, key, value in zip(columns.offsets, columns.keys, columns.values, strict=True)
    }


def dumped_records(partition: int) -> dict[int, tuple[dict[str, Any], dict[str, Any] | None]]:
    """Offset -> (key, payload) as Kafka's tool printed them; None for a tombstone."""
    found = {}
    for line in (DATA / f"{partition}.txt").read_text().splitlines():
        if line.startswith("| offset") and "endTxnMarker" not in line:
            # The key is JSON without a space after it but inside of strings, so cut at the word the tool
            # puts between.
            head, payload = line.split(" payload: ")
            offset = int(re.match(r"\| offset: (\d+) ", head)[1])  # type: ignore[index] - the line begins so
            key = json.loads(head.split(" key: ")[1])
            found[offset] = (key, None if payload == "<DELETE>" else json.loads(payload))
    return found


@pytest.mark.parametrize("partition", PARTITIONS)
def test_every_record_reads_as_kafka_prints_it(partition: int) -> None:
    stored, dumped = stored_records(partition), dumped_records(partition)
    assert stored.keys() == dumped.keys()
    for offset, (key, payload) in dumped.items():
        record = decode_record(stored[offset].key, stored[offset].value)
        match key["type"]:
            case "1":
                assert_offset(record, key["data"], payload)
            case "2":
                assert_group(record, key["data"], payload)
            case _:
                assert_consumer(record, key, payload)


def assert_consumer(record: Any, key: dict[str, Any], payload: dict[str, Any] | None) -> None:
    """A group of the consumer protocol that one member joined and left again."""
    assert record.group_id == key["data"]["groupId"]
    data = None if payload is None else payload["data"]
    if "memberId" in key["data"]:
        assert record.member_id == key["data"]["memberId"]
    match record:
        case ConsumerGroupStored():
            assert (record.epoch, record.metadata_hash) == (data["epoch"], data.get("metadataHash", 0))
        case TargetEpochStored():
            assert record.epoch == data["assignmentEpoch"]
        case ConsumerMemberStored():
            assert list(record.topics) == data["subscribedTopicNames"]
            assert (record.regex, record.classic) == (data["subscribedTopicRegex"], data["classicMemberMetadata"])
            assert (record.client_id, record.client_host) == (data["clientId"], data["clientHost"])
        case TargetAssignmentStored():
            assert record.partitions == partitions_of(data["topicPartitions"])
        case CurrentAssignmentStored():
            assert (record.member_epoch, record.previous_member_epoch) == (
                data["memberEpoch"],
                data["previousMemberEpoch"],
            )
            assert (record.state, record.pending_revocation) == (data["state"], {})
            assert record.assigned == partitions_of(data["assignedPartitions"])
        case _:
            assert isinstance(record, CurrentAssignmentRemoved | TargetAssignmentRemoved | ConsumerMemberRemoved)
            assert payload is None


def partitions_of(printed: list[dict[str, Any]]) -> dict[bytes, tuple[int, ...]]:
    return {topic_id_from_text(topic["topicId"]): tuple(topic["partitions"]) for topic in printed}


def assert_offset(record: object, key: dict[str, Any], payload: dict[str, Any] | None) -> None:
    if payload is None:
        assert record == OffsetRemoved(group_id=key["group"], topic=key["topic"], partition=key["partition"])
        return
    data = payload["data"]
    assert record == OffsetStored(
        group_id=key["group"],
        topic=key["topic"],
        partition=key["partition"],
        offset=data["offset"],
        leader_epoch=data["leaderEpoch"],
        metadata=data["metadata"],
        committed_at_ms=data["commitTimestamp"],
    )


def assert_group(record: object, key: dict[str, Any], payload: dict[str, Any] | None) -> None:
    if payload is None:
        assert record == GroupRemoved(group_id=key["group"])
        return
    data = payload["data"]
    assert isinstance(record, GroupStored)
    assert (record.group_id, record.protocol_type, record.generation) == (
        key["group"],
        data["protocolType"],
        data["generation"],
    )
    assert (record.protocol, record.leader) == (data["protocol"], data["leader"])
    assert record.state_since_ms == data["currentStateTimestamp"]
    assert len(record.members) == len(data["members"])
    for member, printed in zip(record.members, data["members"], strict=True):
        assert member.member_id == printed["memberId"]
        assert member.group_instance_id == printed["groupInstanceId"]
        assert (member.client_id, member.client_host) == (printed["clientId"], printed["clientHost"])
        assert member.rebalance_timeout_ms == printed["rebalanceTimeout"]
        assert member.session_timeout_ms == printed["sessionTimeout"]
        assert subscribed_topics(member.subscription) == frozenset(printed["subscription"]["topics"])
        assert b"golden" in member.assignment


@pytest.mark.parametrize("partition", PARTITIONS)
def test_every_record_is_written_byte_for_byte_as_kafka_wrote_it(partition: int) -> None:
    known = 0
    for original in stored_records(partition).values():
        record = decode_record(*original)
        assert record is not None
        known += 1
        assert encode_record(record) == original
    assert known


def test_the_hash_of_the_topics_is_what_kafka_computed() -> None:
    """Kafka's own number for the topic of the golden group: one partition, a broker without a rack."""
    topic_id = topic_id_from_text("jI_LGuo0SmWarZXVbyPBRg")
    hashes = {
        r.metadata_hash
        for p in PARTITIONS
        for kv in stored_records(p).values()
        if isinstance(r := decode_record(*kv), ConsumerGroupStored)
    }
    assert hashes == {group_hash({"golden": topic_hash("golden", topic_id, [()])}), 0}


def test_the_logs_hold_what_the_tests_are_about() -> None:
    """A golden test over empty or one-sided data proves nothing."""
    types = [read_version(kv.key) for p in PARTITIONS for kv in stored_records(p).values()]
    assert types.count(1) == 6
    assert types.count(2) == 12
    assert {t: types.count(t) for t in range(3, 9)} == {3: 2, 4: 0, 5: 2, 6: 1, 7: 2, 8: 2}
    records = [decode_record(*kv) for p in PARTITIONS for kv in stored_records(p).values()]
    instances = {m.group_instance_id for r in records if isinstance(r, GroupStored) for m in r.members}
    assert instances == {None, "static-1"}
