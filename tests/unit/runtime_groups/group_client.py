"""A client of groups, of either protocol, that needs no socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from handler_calls import response, start

from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from mainstem.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from mainstem.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from mainstem.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from mainstem.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
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


class GroupClient:
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
        return start(self.services, api, version, request, client_id)

    async def send(self, api: ApiKey, version: int, request: Any, client_id: str | None = "client") -> Any:
        answer = self.start(api, version, request, client_id)
        self.world.time.advance(0)
        return await response(api, version, answer)

    # --- classic members

    async def join(self, version: int = 9, **changes: Any) -> Any:
        fields: dict[str, Any] = {
            "group_id": "g",
            "session_timeout_ms": 10_000,
            "rebalance_timeout_ms": 60_000,
            "protocol_type": "consumer",
            "protocols": [JoinGroupRequestProtocol(name="range", metadata=b"meta")],
        }
        request = JoinGroupRequest(**(fields | changes))
        joined = await self.send(ApiKey.JOIN_GROUP, version, request)
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            assert version >= 4
            again = JoinGroupRequest(**(fields | changes | {"member_id": joined.member_id}))
            joined = await self.send(ApiKey.JOIN_GROUP, version, again)
        return joined

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

    # --- members of the consumer protocol, and offsets

    async def beat(self, member_id: str, epoch: int, version: int = 1, **changes: Any) -> Any:
        fields = {"group_id": "g", "member_id": member_id, "member_epoch": epoch, "topic_partitions": None}
        request = ConsumerGroupHeartbeatRequest(**(fields | changes))
        return await self.send(ApiKey.CONSUMER_GROUP_HEARTBEAT, version, request)

    async def describe(self, version: int = 1, *groups: str) -> Any:
        request = ConsumerGroupDescribeRequest(group_ids=groups or ("g",), include_authorized_operations=True)
        return (await self.send(ApiKey.CONSUMER_GROUP_DESCRIBE, version, request)).groups

    async def commit(self, member_id: str, epoch: int, version: int = 9) -> int:
        partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=7, committed_metadata="")
        request = OffsetCommitRequest(
            group_id="g",
            generation_id_or_member_epoch=epoch,
            member_id=member_id,
            topics=[OffsetCommitRequestTopic(name="orders", partitions=[partition])],
        )
        answer = await self.send(ApiKey.OFFSET_COMMIT, version, request)
        error: int = answer.topics[0].partitions[0].error_code
        return error

    async def fetch(self, **who: Any) -> Any:
        asked = OffsetFetchRequestGroup(group_id="g", topics=None, **who)
        return (await self.send(ApiKey.OFFSET_FETCH, 9, OffsetFetchRequest(groups=[asked]))).groups[0]


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
