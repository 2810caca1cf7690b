"""Record what Apache Kafka answers to group requests, one step after the other, into answers.json.

    PYTHONPATH=tests/conformance python tests/data/kafka-4.1-group-answers/record.py

Member ids differ from run to run: they are written as $0, $1, … in the order in which they were given.
`tests/unit/runtime_groups/test_golden_answers.py` puts the same steps to our handlers.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import decode, encode, request_schema, response_schema
from mainstem.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from mainstem.wire.messages.delete_groups import DeleteGroupsRequest
from mainstem.wire.messages.describe_groups import DescribeGroupsRequest
from mainstem.wire.messages.find_coordinator import FindCoordinatorRequest
from mainstem.wire.messages.heartbeat import HeartbeatRequest
from mainstem.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from mainstem.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from mainstem.wire.messages.list_groups import ListGroupsRequest
from mainstem.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from mainstem.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from mainstem.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

ANSWERS = Path(__file__).with_name("answers.json")
SUBSCRIPTION = b"\0\0\0\0\0\1\0\1t\0\0\0\0"
CLIENT_ID = "client"


class Line:
    """One connection."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)

    def send(self, api: ApiKey, version: int, request: Any) -> None:
        schema = request_schema(api)
        client = CLIENT_ID.encode()
        head = struct.pack(">hhih", api, version, 1, len(client)) + client
        body = head + (b"\0" if version >= schema.flexible_from else b"") + encode(schema, version, request)
        self._socket.sendall(struct.pack(">i", len(body)) + body)

    def receive(self, api: ApiKey, version: int) -> Any:
        (size,) = struct.unpack(">i", self._read(4))
        schema = response_schema(api)
        body = 4 + (version >= schema.flexible_from)
        return decode(schema, version, memoryview(self._read(size)), body)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            assert more, "the broker closed the connection"
            data += more
        return data


class Recorder:
    """Asks a broker and keeps request and answer. `lines` are connections by number, so that one may be parked."""

    def __init__(self, address: str) -> None:
        self.lines = [Line(address) for _ in range(3)]
        self.steps: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}

    def ask(self, api: ApiKey, version: int, request: Any, line: int = 0) -> Any:
        self.send(api, version, request, line)
        return self.receive(api, version, line)

    def send(self, api: ApiKey, version: int, request: Any, line: int = 0) -> None:
        fields = self._named(msgspec.to_builtins(request))
        self.steps.append({"send": api.name, "version": version, "line": line, "request": fields})
        self.lines[line].send(api, version, request)
        # What is parked must be so before the next connection speaks.
        time.sleep(0.05 if line else 0)

    def receive(self, api: ApiKey, version: int, line: int = 0) -> Any:
        response = self.lines[line].receive(api, version)
        if api is ApiKey.JOIN_GROUP:
            for member_id in (response.member_id, *(m.member_id for m in response.members)):
                if member_id and member_id not in self._names and "-" in member_id:
                    self._names[member_id] = f"${len(self._names)}"
        self.steps.append({"receive": api.name, "line": line, "response": self._named(msgspec.to_builtins(response))})
        return response

    def _named(self, value: Any) -> Any:
        """Bytes are base64 by now, so no member id can be part of them: assignments name no members here."""
        match value:
            case str():
                return self._names.get(value, value)
            case dict():
                return {key: self._named(entry) for key, entry in value.items()}
            case list() | tuple():
                return [self._named(entry) for entry in value]
            case _:
                return value


def commit(group_id: str, generation: int, member_id: str, version: int, metadata: str = "m", **more: Any) -> Any:
    partitions = [
        OffsetCommitRequestPartition(
            partition_index=0,
            committed_offset=5,
            committed_leader_epoch=2 if version >= 6 else -1,
            committed_metadata=metadata,
        ),
        OffsetCommitRequestPartition(partition_index=9, committed_offset=5),
    ]
    unknown = [OffsetCommitRequestPartition(partition_index=0)]
    return OffsetCommitRequest(
        group_id=group_id,
        generation_id_or_member_epoch=generation,
        member_id=member_id,
        topics=[
            OffsetCommitRequestTopic(name="t", partitions=partitions),
            OffsetCommitRequestTopic(name="unknown", partitions=unknown),
        ],
        **more,
    )


def join(group_id: str, member_id: str = "", protocols: Sequence[str] = ("range",), **more: Any) -> JoinGroupRequest:
    fields: dict[str, Any] = {"session_timeout_ms": 10_000, "rebalance_timeout_ms": 10_000, "protocol_type": "consumer"}
    return JoinGroupRequest(
        group_id=group_id,
        member_id=member_id,
        protocols=[JoinGroupRequestProtocol(name=p, metadata=SUBSCRIPTION) for p in protocols],
        **(fields | more),
    )


def sync(group_id: str, generation: int, member_id: str, shares: dict[str, bytes], **more: Any) -> SyncGroupRequest:
    assignments = [SyncGroupRequestAssignment(member_id=m, assignment=a) for m, a in shares.items()]
    return SyncGroupRequest(
        group_id=group_id, generation_id=generation, member_id=member_id, assignments=assignments, **more
    )


def beat(group_id: str, generation: int, member_id: str, instance_id: str | None = None) -> HeartbeatRequest:
    return HeartbeatRequest(
        group_id=group_id, generation_id=generation, member_id=member_id, group_instance_id=instance_id
    )


def record_one_member(to: Recorder, version: int) -> None:
    """A dynamic member in the life of a group, in one version of JoinGroup and the nearest of the other APIs."""
    group = f"group-{version}"
    ask = to.ask
    for refused in (
        join(""),
        join(group, session_timeout_ms=1),
        join(group, "stranger"),
        join(f"no-protocols-{version}", protocols=()),
        join(f"no-type-{version}", protocol_type=""),
    ):
        ask(ApiKey.JOIN_GROUP, version, refused)
    joined = ask(ApiKey.JOIN_GROUP, version, join(group))
    if version >= 4:
        joined = ask(ApiKey.JOIN_GROUP, version, join(group, joined.member_id))
    member = joined.member_id
    ask(ApiKey.JOIN_GROUP, version, join(group, protocol_type="connect"))
    ask(ApiKey.JOIN_GROUP, version, join(group, protocols=("sticky",)))
    beats, syncs, leaves = min(version, 4), min(version, 5), min(version, 5)
    ask(ApiKey.HEARTBEAT, beats, beat(group, 1, member))
    ask(ApiKey.OFFSET_COMMIT, 7, commit(group, 1, member, 7))
    for generation, who, kind, name in (
        (1, "stranger", "consumer", "range"),
        (2, member, "consumer", "range"),
        (1, member, "connect", "range"),
        (1, member, "consumer", "other"),
        (1, member, None, None),
        (1, member, "consumer", "range"),
    ):
        protocol = {"protocol_type": kind, "protocol_name": name} if syncs >= 5 else {}
        ask(ApiKey.SYNC_GROUP, syncs, sync(group, generation, who, {member: b"share"}, **protocol))
    describe = DescribeGroupsRequest(groups=[group, "missing", ""], include_authorized_operations=version >= 3)
    ask(ApiKey.DESCRIBE_GROUPS, min(version, 6), describe)
    ask(ApiKey.JOIN_GROUP, version, join(group, member))
    delete = DeleteGroupsRequest(groups_names=[group, "missing"])
    ask(ApiKey.DELETE_GROUPS, version % 3, delete)
    if leaves < 3:
        leave = LeaveGroupRequest(group_id=group, member_id=member)
    else:
        others = [MemberIdentity(member_id="stranger"), MemberIdentity(group_instance_id="instance")]
        leave = LeaveGroupRequest(group_id=group, members=[MemberIdentity(member_id=member), *others])
    ask(ApiKey.LEAVE_GROUP, leaves, leave)
    for group_id in (group, "missing", ""):
        ask(ApiKey.LEAVE_GROUP, leaves, msgspec.structs.replace(leave, group_id=group_id))
        ask(ApiKey.HEARTBEAT, beats, beat(group_id, 2, member))
    ask(ApiKey.DESCRIBE_GROUPS, min(version, 6), describe)
    ask(ApiKey.LIST_GROUPS, min(version, 5), ListGroupsRequest())
    ask(ApiKey.DELETE_GROUPS, version % 3, delete)


def record_offsets(to: Recorder) -> None:
    joined = to.ask(ApiKey.JOIN_GROUP, 3, join("offsets"))
    member = joined.member_id
    to.ask(ApiKey.SYNC_GROUP, 3, sync("offsets", 1, member, {member: b"share"}))
    for version in range(2, 10):
        for request in (
            commit("offsets", 1, member, version),
            commit("offsets", 0, member, version),
            commit("offsets", -1, "", version),
            commit("offsets", 1, "stranger", version),
            commit("unknown-group", 3, "stranger", version),
            commit("offsets", -1, member, version),
            commit("offsets", 1, member, version, metadata="x" * 4_097),
            commit("", -1, "", version),
            commit(f"simple-{version}", -1, "", version),
        ):
            to.ask(ApiKey.OFFSET_COMMIT, version, request)
    for version in range(1, 8):
        topics = [
            OffsetFetchRequestTopic(name="t", partition_indexes=[0, 1, 7]),
            OffsetFetchRequestTopic(name="unknown", partition_indexes=[0]),
        ]
        for group in ("offsets", "unknown-group", ""):
            to.ask(ApiKey.OFFSET_FETCH, version, OffsetFetchRequest(group_id=group, topics=topics))
            if version >= 2:
                to.ask(ApiKey.OFFSET_FETCH, version, OffsetFetchRequest(group_id=group, topics=None))
    for version in (8, 9):
        some = [OffsetFetchRequestTopics(name="t", partition_indexes=[0, 2])]
        groups = [
            OffsetFetchRequestGroup(group_id="offsets", topics=None),
            OffsetFetchRequestGroup(group_id="unknown-group", topics=None),
            OffsetFetchRequestGroup(group_id="offsets", topics=some),
        ]
        to.ask(ApiKey.OFFSET_FETCH, version, OffsetFetchRequest(groups=groups, require_stable=True))
    for states, types in ((["empty"], []), ([" Stable "], []), ([], ["classic"]), ([], ["Consumer"]), ([], ["none"])):
        to.ask(ApiKey.LIST_GROUPS, 5, ListGroupsRequest(states_filter=states, types_filter=types))


def record_static_members(to: Recorder) -> None:
    """Two instances, restarts of both, fencing, and an administrator. A is on line 0, B on line 1."""
    group, protocol = "static", {"protocol_type": "consumer", "protocol_name": "range"}

    def synced(joined: Any, instance: str, shares: dict[str, bytes], line: int = 0) -> None:
        request = sync(group, 2, joined.member_id, shares, group_instance_id=instance, **protocol)
        to.ask(ApiKey.SYNC_GROUP, 5, request, line)

    a = to.ask(ApiKey.JOIN_GROUP, 9, join(group, group_instance_id="A"))
    to.send(ApiKey.JOIN_GROUP, 9, join(group, group_instance_id="B"), 1)
    to.ask(ApiKey.HEARTBEAT, 4, beat(group, 1, a.member_id, "A"))
    a = to.ask(ApiKey.JOIN_GROUP, 9, join(group, a.member_id, group_instance_id="A"))
    b = to.receive(ApiKey.JOIN_GROUP, 9, 1)
    to.send(ApiKey.SYNC_GROUP, 5, sync(group, 2, b.member_id, {}, group_instance_id="B", **protocol), 1)
    synced(a, "A", {a.member_id: b"share of a", b.member_id: b"share of b"})
    to.receive(ApiKey.SYNC_GROUP, 5, 1)
    back = to.ask(ApiKey.JOIN_GROUP, 9, join(group, group_instance_id="B"), 1)
    synced(back, "B", {}, 1)
    old = b.member_id
    to.ask(ApiKey.HEARTBEAT, 4, beat(group, 2, old, "B"))
    to.ask(ApiKey.HEARTBEAT, 4, beat(group, 2, old))
    to.ask(ApiKey.JOIN_GROUP, 9, join(group, old, group_instance_id="B"))
    to.ask(ApiKey.OFFSET_COMMIT, 7, commit(group, 2, old, 7, group_instance_id="B"))
    leaving = [MemberIdentity(member_id=old, group_instance_id="B")]
    to.ask(ApiKey.LEAVE_GROUP, 5, LeaveGroupRequest(group_id=group, members=leaving))
    for version in (5, 9):
        a = to.ask(ApiKey.JOIN_GROUP, version, join(group, group_instance_id="A"))
        synced(a, "A", {})
    to.ask(ApiKey.DESCRIBE_GROUPS, 6, DescribeGroupsRequest(groups=[group]))
    leaving = [MemberIdentity(group_instance_id="B", reason="gone"), MemberIdentity(group_instance_id="none")]
    to.ask(ApiKey.LEAVE_GROUP, 5, LeaveGroupRequest(group_id=group, members=leaving))
    to.ask(ApiKey.HEARTBEAT, 4, beat(group, 2, a.member_id, "A"))
    to.ask(ApiKey.OFFSET_COMMIT, 7, commit(group, 2, a.member_id, 7, group_instance_id="A"))
    synced(a, "A", {})
    for _ in range(2):
        to.ask(ApiKey.JOIN_GROUP, 9, join(group, a.member_id, group_instance_id="A"))
    to.ask(ApiKey.JOIN_GROUP, 9, join(group, a.member_id, group_instance_id="A", protocols=("range", "more")))


def record(address: str) -> list[dict[str, Any]]:
    setup = Line(address)
    topic = CreatableTopic(name="t", num_partitions=3, replication_factor=1)
    setup.send(ApiKey.CREATE_TOPICS, 5, CreateTopicsRequest(topics=[topic], timeout_ms=5_000))
    setup.receive(ApiKey.CREATE_TOPICS, 5)
    for _ in range(50):
        setup.send(ApiKey.FIND_COORDINATOR, 1, FindCoordinatorRequest(key="g"))
        if setup.receive(ApiKey.FIND_COORDINATOR, 1).error_code == 0:
            break
        time.sleep(0.2)
    time.sleep(2)
    recorder = Recorder(address)
    for version in range(10):
        record_one_member(recorder, version)
    record_offsets(recorder)
    record_static_members(recorder)
    return recorder.steps


def main() -> None:
    node = import_module("peers.kafka_node").KafkaNode()
    with node as kafka:
        steps = record(kafka.bootstrap)
    lines = ",\n".join(json.dumps(step) for step in steps)
    ANSWERS.write_text(f"[\n{lines}\n]\n")
    print(f"{len(steps)} steps, {ANSWERS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
