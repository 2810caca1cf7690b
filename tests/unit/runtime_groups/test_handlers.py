"""The group handlers in every version that Kafka 4.1 serves: bytes of a request in, bytes of a response out."""

from __future__ import annotations

import asyncio
import inspect
import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mainstem.broker.context import RequestContext
from mainstem.broker.routes import ROUTES
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import decode, encode, request_schema, response_schema
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

RANGES = {
    ApiKey.OFFSET_COMMIT: (2, 9),
    ApiKey.OFFSET_FETCH: (1, 9),
    ApiKey.FIND_COORDINATOR: (0, 6),
    ApiKey.JOIN_GROUP: (0, 9),
    ApiKey.HEARTBEAT: (0, 4),
    ApiKey.LEAVE_GROUP: (0, 5),
    ApiKey.SYNC_GROUP: (0, 5),
    ApiKey.DESCRIBE_GROUPS: (0, 6),
    ApiKey.LIST_GROUPS: (0, 5),
    ApiKey.DELETE_GROUPS: (0, 2),
}
VERSIONS = {api: range(first, last + 1) for api, (first, last) in RANGES.items()}


class Client:
    """Speaks to the handlers as a connection does, through the codec."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.services = SimpleNamespace(
            metadata=world.cluster,
            groups=world.groups,
            broker_id=1,
            endpoint_of=lambda broker_id, context: ("host.example", 9092) if broker_id == 1 else None,
        )

    def start(self, api: ApiKey, version: int, request: Any, client_id: str | None = "client") -> Any:
        context = RequestContext(
            api_version=version,
            client_id=client_id,
            client_host="127.0.0.1",
            listener="PLAINTEXT",
            local_host="127.0.0.1",
            local_port=9092,
        )
        schema = request_schema(api)
        read = decode(schema, version, memoryview(encode(schema, version, request)))
        handler = import_module(f"mainstem.broker.handlers.{api.name.lower()}")
        return handler.handle(context, self.services, read)

    async def send(self, api: ApiKey, version: int, request: Any, client_id: str | None = "client") -> Any:
        answer = self.start(api, version, request, client_id)
        self.world.time.advance(0)
        if inspect.isawaitable(answer):
            answer = await answer
        schema = response_schema(api)
        return decode(schema, version, memoryview(encode(schema, version, answer)))

    async def join(self, version: int = 9, **changes: Any) -> Any:
        fields: dict[str, Any] = {
            "group_id": "g",
            "session_timeout_ms": 10_000,
            "rebalance_timeout_ms": 60_000,
            "protocol_type": "consumer",
            "protocols": [JoinGroupRequestProtocol(name="range", metadata=b"meta")],
        }
        request = JoinGroupRequest(**(fields | changes))
        response = await self.send(ApiKey.JOIN_GROUP, version, request)
        if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            assert version >= 4
            again = JoinGroupRequest(**(fields | changes | {"member_id": response.member_id}))
            response = await self.send(ApiKey.JOIN_GROUP, version, again)
        return response

    async def member(self) -> str:
        joined = await self.join()
        request = SyncGroupRequest(
            group_id="g",
            generation_id=joined.generation_id,
            member_id=joined.member_id,
            protocol_type="consumer",
            protocol_name="range",
            assignments=[SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"part")],
        )
        assert (await self.send(ApiKey.SYNC_GROUP, 5, request)).error_code == 0
        member_id: str = joined.member_id
        return member_id


@pytest.fixture
async def client(make_world: Any) -> Any:
    world = make_world()
    world.cluster.create("__consumer_offsets")
    world.cluster.create("orders", 2)
    yield Client(world)
    await world.groups.close()


def test_the_ranges_are_those_of_apache_kafka() -> None:
    path = Path(__file__).parents[2] / "data" / "kafka-4.1-group-api-versions.json"
    kafka = {entry["key"]: (entry["min"], entry["max"]) for entry in json.loads(path.read_text())}
    assert {int(api): versions for api, versions in RANGES.items()} == kafka
    served = {key: (r.first_version, r.last_version) for key, r in ROUTES.items() if key in RANGES}
    assert served == RANGES


class TestFindCoordinator:
    @pytest.mark.parametrize("version", range(4))
    async def test_one_key(self, client: Any, version: int) -> None:
        found = await client.send(ApiKey.FIND_COORDINATOR, version, FindCoordinatorRequest(key="g", key_type=0))
        assert (found.error_code, found.node_id, found.host, found.port) == (0, 1, "host.example", 9092)

    @pytest.mark.parametrize("version", range(4, 7))
    async def test_several_keys(self, client: Any, version: int) -> None:
        request = FindCoordinatorRequest(key_type=0, coordinator_keys=["g", "h"])
        found = await client.send(ApiKey.FIND_COORDINATOR, version, request)
        assert [(c.key, c.error_code, c.node_id, c.host, c.port) for c in found.coordinators] == [
            ("g", 0, 1, "host.example", 9092),
            ("h", 0, 1, "host.example", 9092),
        ]

    @pytest.mark.parametrize(
        ("key_type", "error"),
        [
            (2, ErrorCode.INVALID_REQUEST),
            (9, ErrorCode.INVALID_REQUEST),
            (-1, ErrorCode.INVALID_REQUEST),
        ],
    )
    async def test_other_types_have_no_coordinator(self, client: Any, key_type: int, error: ErrorCode) -> None:
        one = FindCoordinatorRequest(key="g", key_type=key_type)
        found = await client.send(ApiKey.FIND_COORDINATOR, 3, one)
        assert (found.error_code, found.node_id, found.host, found.port) == (error, -1, "", -1)
        many = FindCoordinatorRequest(key_type=key_type, coordinator_keys=["g"])
        (coordinator,) = (await client.send(ApiKey.FIND_COORDINATOR, 6, many)).coordinators
        assert (coordinator.error_code, coordinator.node_id) == (error, -1)

    async def test_a_coordinator_that_the_listener_does_not_reach(self, client: Any) -> None:
        client.services.endpoint_of = lambda broker_id, context: None
        found = await client.send(ApiKey.FIND_COORDINATOR, 1, FindCoordinatorRequest(key="g"))
        assert found.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE


class TestJoinAndSync:
    @pytest.mark.parametrize("version", VERSIONS[ApiKey.JOIN_GROUP])
    async def test_join(self, client: Any, version: int) -> None:
        joined = await client.join(version)
        assert (joined.error_code, joined.generation_id) == (0, 1)
        assert joined.member_id == joined.leader
        assert joined.member_id.startswith("client-uuid-")
        assert joined.protocol_name == "range"
        assert joined.protocol_type == ("consumer" if version >= 7 else None)
        assert [(m.member_id, m.metadata) for m in joined.members] == [(joined.member_id, b"meta")]

    async def test_an_error_has_an_empty_protocol_before_version_7_and_none_after(self, client: Any) -> None:
        assert (await client.join(6, session_timeout_ms=1)).protocol_name == ""
        assert (await client.join(7, session_timeout_ms=1)).protocol_name is None

    async def test_version_0_waits_as_long_as_the_session(self, client: Any) -> None:
        await client.join(0)
        (shard,) = [m for m in client.world.groups._topic.runtime.machines() if m.groups]
        assert shard.groups["g"].rebalance_timeout_ms == 10_000

    async def test_a_protocol_named_twice_counts_once_the_first_time(self, client: Any) -> None:
        protocols = [
            JoinGroupRequestProtocol(name="range", metadata=b"first"),
            JoinGroupRequestProtocol(name="sticky", metadata=b"other"),
            JoinGroupRequestProtocol(name="range", metadata=b"second"),
        ]
        joined = await client.join(9, protocols=protocols)
        assert (joined.protocol_name, joined.members[0].metadata) == ("range", b"first")

    async def test_no_client_id_is_an_empty_one(self, client: Any) -> None:
        request = JoinGroupRequest(
            group_id="g",
            session_timeout_ms=10_000,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
        )
        response = await client.send(ApiKey.JOIN_GROUP, 5, request, client_id=None)
        assert response.member_id == "-uuid-1"

    @pytest.mark.parametrize("version", VERSIONS[ApiKey.SYNC_GROUP])
    async def test_sync(self, client: Any, version: int) -> None:
        joined = await client.join()
        request = SyncGroupRequest(
            group_id="g",
            generation_id=1,
            member_id=joined.member_id,
            protocol_type="consumer" if version >= 5 else None,
            protocol_name="range" if version >= 5 else None,
            assignments=[SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"part")],
        )
        synced = await client.send(ApiKey.SYNC_GROUP, version, request)
        assert (synced.error_code, synced.assignment) == (0, b"part")
        assert synced.protocol_name == ("range" if version >= 5 else None)

    async def test_from_version_5_a_sync_must_say_its_protocol(self, client: Any) -> None:
        joined = await client.join()
        request = SyncGroupRequest(group_id="g", generation_id=1, member_id=joined.member_id)
        synced = await client.send(ApiKey.SYNC_GROUP, 5, request)
        assert synced.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL

    async def test_a_follower_is_answered_when_the_leader_brings_the_assignment(self, client: Any) -> None:
        tasks = [client.start(ApiKey.JOIN_GROUP, 3, self.request()) for _ in range(2)]
        assert all(isinstance(t, asyncio.Future) for t in tasks)
        client.world.time.advance(0)
        leader, follower = [await t for t in tasks]
        sync = {"group_id": "g", "generation_id": 1}
        waiting = client.start(ApiKey.SYNC_GROUP, 3, SyncGroupRequest(member_id=follower.member_id, **sync))
        assert not waiting.done()
        parts = [SyncGroupRequestAssignment(member_id=follower.member_id, assignment=b"part")]
        own = SyncGroupRequest(member_id=leader.member_id, assignments=parts, **sync)
        assert (await client.send(ApiKey.SYNC_GROUP, 3, own)).assignment == b""
        assert (await waiting).assignment == b"part"

    @staticmethod
    def request() -> JoinGroupRequest:
        return JoinGroupRequest(
            group_id="g",
            session_timeout_ms=10_000,
            rebalance_timeout_ms=60_000,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"meta")],
        )


class TestMembers:
    @pytest.mark.parametrize("version", VERSIONS[ApiKey.HEARTBEAT])
    async def test_heartbeat(self, client: Any, version: int) -> None:
        member_id = await client.member()
        beat = HeartbeatRequest(group_id="g", generation_id=1, member_id=member_id)
        assert (await client.send(ApiKey.HEARTBEAT, version, beat)).error_code == 0
        old = HeartbeatRequest(group_id="g", generation_id=0, member_id=member_id)
        refused = await client.send(ApiKey.HEARTBEAT, version, old)
        assert refused.error_code == ErrorCode.ILLEGAL_GENERATION

    @pytest.mark.parametrize("version", range(3))
    async def test_leave_of_one(self, client: Any, version: int) -> None:
        member_id = await client.member()
        leave = LeaveGroupRequest(group_id="g", member_id=member_id)
        assert (await client.send(ApiKey.LEAVE_GROUP, version, leave)).error_code == 0
        again = await client.send(ApiKey.LEAVE_GROUP, version, leave)
        assert again.error_code == ErrorCode.UNKNOWN_MEMBER_ID

    @pytest.mark.parametrize("version", range(3, 6))
    async def test_leave_of_several(self, client: Any, version: int) -> None:
        member_id = await client.member()
        members = [MemberIdentity(member_id=member_id), MemberIdentity(member_id="stranger")]
        left = await client.send(ApiKey.LEAVE_GROUP, version, LeaveGroupRequest(group_id="g", members=members))
        assert left.error_code == 0
        assert [(m.member_id, m.error_code) for m in left.members] == [
            (member_id, 0),
            ("stranger", ErrorCode.UNKNOWN_MEMBER_ID),
        ]

    async def test_leaving_an_unknown_group(self, client: Any) -> None:
        old = await client.send(ApiKey.LEAVE_GROUP, 2, LeaveGroupRequest(group_id="x", member_id="m"))
        assert old.error_code == ErrorCode.UNKNOWN_MEMBER_ID
        empty = await client.send(ApiKey.LEAVE_GROUP, 2, LeaveGroupRequest(group_id="", member_id="m"))
        assert empty.error_code == ErrorCode.INVALID_GROUP_ID


def commit_request(*partitions: tuple[str, int], version: int = 9, **changes: Any) -> OffsetCommitRequest:
    topics = [
        OffsetCommitRequestTopic(
            name=topic,
            partitions=[
                OffsetCommitRequestPartition(
                    partition_index=index,
                    committed_offset=11,
                    committed_leader_epoch=3 if version >= 6 else -1,
                    committed_metadata="meta",
                )
            ],
        )
        for topic, index in partitions
    ]
    return OffsetCommitRequest(group_id="g", topics=topics, **changes)


class TestOffsets:
    @pytest.mark.parametrize("version", VERSIONS[ApiKey.OFFSET_COMMIT])
    async def test_commit_without_membership(self, client: Any, version: int) -> None:
        request = commit_request(("orders", 1), ("orders", 2), ("unknown", 0), ("orders", -1), version=version)
        response = await client.send(ApiKey.OFFSET_COMMIT, version, request)
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert [(t.name, p.partition_index, p.error_code) for t in response.topics for p in t.partitions] == [
            ("orders", 1, 0),
            ("orders", 2, unknown),
            ("unknown", 0, unknown),
            ("orders", -1, unknown),
        ]

    async def test_nothing_known_is_answered_without_the_coordinator(self, client: Any) -> None:
        response = await client.send(ApiKey.OFFSET_COMMIT, 9, commit_request(("unknown", 0)))
        assert response.topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        empty = await client.send(ApiKey.OFFSET_COMMIT, 9, OffsetCommitRequest(group_id="g"))
        assert list(empty.topics) == []

    @pytest.mark.parametrize(
        ("version", "error"), [(8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND)]
    )
    async def test_a_generation_of_an_unknown_group(self, client: Any, version: int, error: ErrorCode) -> None:
        request = commit_request(("orders", 0), generation_id_or_member_epoch=4, member_id="m")
        response = await client.send(ApiKey.OFFSET_COMMIT, version, request)
        assert response.topics[0].partitions[0].error_code == error

    @pytest.mark.parametrize("version", range(1, 8))
    async def test_fetch_of_one_group(self, client: Any, version: int) -> None:
        await client.send(ApiKey.OFFSET_COMMIT, 9, commit_request(("orders", 1)))
        topics = [OffsetFetchRequestTopic(name="orders", partition_indexes=[0, 1])]
        fetched = await client.send(ApiKey.OFFSET_FETCH, version, OffsetFetchRequest(group_id="g", topics=topics))
        (topic,) = fetched.topics
        epoch = 3 if version >= 5 else -1
        assert [
            (p.partition_index, p.committed_offset, p.committed_leader_epoch, p.metadata, p.error_code)
            for p in topic.partitions
        ] == [(0, -1, -1, "", 0), (1, 11, epoch, "meta", 0)]

    @pytest.mark.parametrize("version", range(2, 8))
    async def test_fetch_of_all_partitions(self, client: Any, version: int) -> None:
        await client.send(ApiKey.OFFSET_COMMIT, 9, commit_request(("orders", 1)))
        fetched = await client.send(ApiKey.OFFSET_FETCH, version, OffsetFetchRequest(group_id="g", topics=None))
        assert [(t.name, [p.partition_index for p in t.partitions]) for t in fetched.topics] == [("orders", [1])]

    @pytest.mark.parametrize("version", [8, 9])
    async def test_fetch_of_several_groups(self, client: Any, version: int) -> None:
        await client.send(ApiKey.OFFSET_COMMIT, 9, commit_request(("orders", 1)))
        groups = [
            OffsetFetchRequestGroup(group_id="g", topics=None),
            OffsetFetchRequestGroup(
                group_id="h", topics=[OffsetFetchRequestTopics(name="orders", partition_indexes=[1])]
            ),
        ]
        fetched = await client.send(
            ApiKey.OFFSET_FETCH, version, OffsetFetchRequest(groups=groups, require_stable=True)
        )
        assert [
            (g.group_id, g.error_code, [p.committed_offset for t in g.topics for p in t.partitions])
            for g in fetched.groups
        ] == [("g", 0, [11]), ("h", 0, [-1])]

    async def test_a_refusal_stands_where_the_version_has_a_place_for_it(self, client: Any, make_world: Any) -> None:
        """Before the internal topic is there; versions 2 to 7 and groups have one error, version 1 one a partition."""
        fresh = Client(make_world())
        topics = [OffsetFetchRequestTopic(name="orders", partition_indexes=[0])]
        one = OffsetFetchRequest(group_id="g", topics=topics)
        first = await fresh.send(ApiKey.OFFSET_FETCH, 1, one)
        assert first.topics[0].partitions[0].error_code == ErrorCode.NOT_COORDINATOR
        await fresh.world.groups.close()
        assert (await fresh.send(ApiKey.OFFSET_FETCH, 2, one)).error_code == ErrorCode.NOT_COORDINATOR
        many = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id="g", topics=None)])
        (group,) = (await fresh.send(ApiKey.OFFSET_FETCH, 9, many)).groups
        assert group.error_code == ErrorCode.NOT_COORDINATOR


class TestAdministration:
    @pytest.mark.parametrize("version", VERSIONS[ApiKey.DESCRIBE_GROUPS])
    async def test_describe(self, client: Any, version: int) -> None:
        member_id = await client.member()
        request = DescribeGroupsRequest(groups=["g", "none"], include_authorized_operations=version >= 3)
        known, unknown = (await client.send(ApiKey.DESCRIBE_GROUPS, version, request)).groups
        assert (known.error_code, known.group_id, known.group_state) == (0, "g", "Stable")
        assert (known.protocol_type, known.protocol_data) == ("consumer", "range")
        (member,) = known.members
        assert (member.member_id, member.client_id, member.client_host) == (
            member_id,
            "client",
            "/127.0.0.1",
        )
        assert (member.member_metadata, member.member_assignment) == (b"meta", b"part")
        # READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS are bits 3, 6, 8, 10 and 11 in Kafka.
        assert known.authorized_operations == (3400 if version >= 3 else -(2**31))
        not_found = ErrorCode.GROUP_ID_NOT_FOUND if version >= 6 else 0
        assert (unknown.error_code, unknown.group_state) == (not_found, "Dead")
        assert unknown.error_message == ("Group none not found." if version >= 6 else None)

    async def test_operations_that_were_not_asked_for_are_not_told(self, client: Any) -> None:
        request = DescribeGroupsRequest(groups=["none"])
        (group,) = (await client.send(ApiKey.DESCRIBE_GROUPS, 5, request)).groups
        assert group.authorized_operations == -(2**31)

    @pytest.mark.parametrize("version", VERSIONS[ApiKey.LIST_GROUPS])
    async def test_list(self, client: Any, version: int) -> None:
        await client.member()
        listed = await client.send(ApiKey.LIST_GROUPS, version, ListGroupsRequest())
        (group,) = listed.groups
        assert (listed.error_code, group.group_id, group.protocol_type) == (0, "g", "consumer")
        assert group.group_state == ("Stable" if version >= 4 else "")
        assert group.group_type == ("classic" if version >= 5 else "")

    @pytest.mark.parametrize(
        ("states", "types", "count"),
        [
            ([], [], 1),
            (["stable"], [], 1),
            ([" STABLE "], ["Classic"], 1),
            (["Empty"], [], 0),
            ([], ["consumer"], 0),
        ],
    )
    async def test_list_with_filters(self, client: Any, states: list[str], types: list[str], count: int) -> None:
        await client.member()
        request = ListGroupsRequest(states_filter=states, types_filter=types)
        assert len((await client.send(ApiKey.LIST_GROUPS, 5, request)).groups) == count

    @pytest.mark.parametrize("version", VERSIONS[ApiKey.DELETE_GROUPS])
    async def test_delete(self, client: Any, version: int) -> None:
        await client.member()
        request = commit_request(("orders", 0))
        simple = OffsetCommitRequest(group_id="simple", topics=request.topics)
        await client.send(ApiKey.OFFSET_COMMIT, 9, simple)
        names = ["g", "simple", "none", "simple"]
        deleted = await client.send(ApiKey.DELETE_GROUPS, version, DeleteGroupsRequest(groups_names=names))
        assert [(r.group_id, r.error_code) for r in deleted.results] == [
            ("g", ErrorCode.NON_EMPTY_GROUP),
            ("simple", 0),
            ("none", ErrorCode.GROUP_ID_NOT_FOUND),
        ]
