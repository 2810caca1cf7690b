"""Handlers of groups, offsets apart, in every version that Kafka 4.1 serves: bytes of a request in, bytes of a response out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from group_client import RANGES, VERSIONS, GroupClient, commit_request

from mainstem.broker.routes import ROUTES
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.delete_groups import DeleteGroupsRequest
from mainstem.wire.messages.describe_groups import DescribeGroupsRequest
from mainstem.wire.messages.find_coordinator import FindCoordinatorRequest
from mainstem.wire.messages.heartbeat import HeartbeatRequest
from mainstem.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from mainstem.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from mainstem.wire.messages.list_groups import ListGroupsRequest
from mainstem.wire.messages.offset_commit import OffsetCommitRequest
from mainstem.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment


def test_the_ranges_are_those_of_apache_kafka() -> None:
    path = Path(__file__).parents[2] / "data" / "kafka-4.1-group-api-versions.json"
    kafka = {entry["key"]: (entry["min"], entry["max"]) for entry in json.loads(path.read_text())}
    assert {int(api): versions for api, versions in RANGES.items()} == kafka
    served = {key: (r.first_version, r.last_version) for key, r in ROUTES.items() if key in RANGES}
    assert served == RANGES


class TestFindCoordinator:
    @pytest.mark.parametrize("version", range(4))
    async def test_one_key(self, client: GroupClient, version: int) -> None:
        found = await client.send(ApiKey.FIND_COORDINATOR, version, FindCoordinatorRequest(key="g", key_type=0))
        assert (found.error_code, found.node_id, found.host, found.port) == (0, 1, "host.example", 9092)

    @pytest.mark.parametrize("version", range(4, 7))
    async def test_several_keys(self, client: GroupClient, version: int) -> None:
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
    async def test_other_types_have_no_coordinator(self, client: GroupClient, key_type: int, error: ErrorCode) -> None:
        one = FindCoordinatorRequest(key="g", key_type=key_type)
        found = await client.send(ApiKey.FIND_COORDINATOR, 3, one)
        assert (found.error_code, found.node_id, found.host, found.port) == (error, -1, "", -1)
        many = FindCoordinatorRequest(key_type=key_type, coordinator_keys=["g"])
        (coordinator,) = (await client.send(ApiKey.FIND_COORDINATOR, 6, many)).coordinators
        assert (coordinator.error_code, coordinator.node_id) == (error, -1)

    async def test_a_coordinator_that_the_listener_does_not_reach(self, client: GroupClient) -> None:
        client.services.endpoint_of = lambda broker_id, context: None
        found = await client.send(ApiKey.FIND_COORDINATOR, 1, FindCoordinatorRequest(key="g"))
        assert found.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE


class TestJoinAndSync:
    @pytest.mark.parametrize("version", VERSIONS[ApiKey.JOIN_GROUP])
    async def test_join(self, client: GroupClient, version: int) -> None:
        joined = await client.join(version)
        assert (joined.error_code, joined.generation_id) == (0, 1)
        assert joined.member_id == joined.leader
        assert joined.member_id.startswith("client-uuid-")
        assert joined.protocol_name == "range"
        assert joined.protocol_type == ("consumer" if version >= 7 else None)
        assert [(m.member_id, m.metadata) for m in joined.members] == [(joined.member_id, b"meta")]

    async def test_an_error_has_an_empty_protocol_before_version_7_and_none_after(self, client: GroupClient) -> None:
        assert (await client.join(6, session_timeout_ms=1)).protocol_name == ""
        assert (await client.join(7, session_timeout_ms=1)).protocol_name is None

    async def test_version_0_waits_as_long_as_the_session(self, client: GroupClient) -> None:
        await client.join(0)
        (shard,) = [m for m in client.world.groups._topic.runtime.machines() if m.groups]
        assert shard.groups["g"].rebalance_timeout_ms == 10_000

    async def test_a_protocol_named_twice_counts_once_the_first_time(self, client: GroupClient) -> None:
        protocols = [
            JoinGroupRequestProtocol(name="range", metadata=b"first"),
            JoinGroupRequestProtocol(name="sticky", metadata=b"other"),
            JoinGroupRequestProtocol(name="range", metadata=b"second"),
        ]
        joined = await client.join(9, protocols=protocols)
        assert (joined.protocol_name, joined.members[0].metadata) == ("range", b"first")

    async def test_no_client_id_is_an_empty_one(self, client: GroupClient) -> None:
        request = JoinGroupRequest(
            group_id="g",
            session_timeout_ms=10_000,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
        )
        response = await client.send(ApiKey.JOIN_GROUP, 5, request, client_id=None)
        assert response.member_id == "-uuid-1"

    @pytest.mark.parametrize("version", VERSIONS[ApiKey.SYNC_GROUP])
    async def test_sync(self, client: GroupClient, version: int) -> None:
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

    async def test_from_version_5_a_sync_must_say_its_protocol(self, client: GroupClient) -> None:
        joined = await client.join()
        request = SyncGroupRequest(group_id="g", generation_id=1, member_id=joined.member_id)
        synced = await client.send(ApiKey.SYNC_GROUP, 5, request)
        assert synced.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL

    async def test_a_follower_is_answered_when_the_leader_brings_the_assignment(self, client: GroupClient) -> None:
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
    async def test_heartbeat(self, client: GroupClient, version: int) -> None:
        member_id = await client.member()
        beat = HeartbeatRequest(group_id="g", generation_id=1, member_id=member_id)
        assert (await client.send(ApiKey.HEARTBEAT, version, beat)).error_code == 0
        old = HeartbeatRequest(group_id="g", generation_id=0, member_id=member_id)
        refused = await client.send(ApiKey.HEARTBEAT, version, old)
        assert refused.error_code == ErrorCode.ILLEGAL_GENERATION

    @pytest.mark.parametrize("version", range(3))
    async def test_leave_of_one(self, client: GroupClient, version: int) -> None:
        member_id = await client.member()
        leave = LeaveGroupRequest(group_id="g", member_id=member_id)
        assert (await client.send(ApiKey.LEAVE_GROUP, version, leave)).error_code == 0
        again = await client.send(ApiKey.LEAVE_GROUP, version, leave)
        assert again.error_code == ErrorCode.UNKNOWN_MEMBER_ID

    @pytest.mark.parametrize("version", range(3, 6))
    async def test_leave_of_several(self, client: GroupClient, version: int) -> None:
        member_id = await client.member()
        members = [MemberIdentity(member_id=member_id), MemberIdentity(member_id="stranger")]
        left = await client.send(ApiKey.LEAVE_GROUP, version, LeaveGroupRequest(group_id="g", members=members))
        assert left.error_code == 0
        assert [(m.member_id, m.error_code) for m in left.members] == [
            (member_id, 0),
            ("stranger", ErrorCode.UNKNOWN_MEMBER_ID),
        ]

    async def test_leaving_an_unknown_group(self, client: GroupClient) -> None:
        old = await client.send(ApiKey.LEAVE_GROUP, 2, LeaveGroupRequest(group_id="x", member_id="m"))
        assert old.error_code == ErrorCode.UNKNOWN_MEMBER_ID
        empty = await client.send(ApiKey.LEAVE_GROUP, 2, LeaveGroupRequest(group_id="", member_id="m"))
        assert empty.error_code == ErrorCode.INVALID_GROUP_ID


class TestAdministration:
    @pytest.mark.parametrize("version", VERSIONS[ApiKey.DESCRIBE_GROUPS])
    async def test_describe(self, client: GroupClient, version: int) -> None:
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

    async def test_operations_that_were_not_asked_for_are_not_told(self, client: GroupClient) -> None:
        request = DescribeGroupsRequest(groups=["none"])
        (group,) = (await client.send(ApiKey.DESCRIBE_GROUPS, 5, request)).groups
        assert group.authorized_operations == -(2**31)

    @pytest.mark.parametrize("version", VERSIONS[ApiKey.LIST_GROUPS])
    async def test_list(self, client: GroupClient, version: int) -> None:
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
    async def test_list_with_filters(
        self, client: GroupClient, states: list[str], types: list[str], count: int
    ) -> None:
        await client.member()
        request = ListGroupsRequest(states_filter=states, types_filter=types)
        assert len((await client.send(ApiKey.LIST_GROUPS, 5, request)).groups) == count

    @pytest.mark.parametrize("version", VERSIONS[ApiKey.DELETE_GROUPS])
    async def test_delete(self, client: GroupClient, version: int) -> None:
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
