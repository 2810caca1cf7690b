"""OffsetCommit and OffsetFetch, every version: bytes of a request in, bytes of a response out."""

from __future__ import annotations

from typing import Any

import pytest
from group_client import VERSIONS, GroupClient, commit_request

from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.offset_commit import (
    OffsetCommitRequest,
)
from mainstem.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)


class TestOffsets:
    @pytest.mark.parametrize("version", VERSIONS[ApiKey.OFFSET_COMMIT])
    async def test_commit_without_membership(self, client: GroupClient, version: int) -> None:
        request = commit_request(("orders", 1), ("orders", 2), ("unknown", 0), ("orders", -1), version=version)
        response = await client.send(ApiKey.OFFSET_COMMIT, version, request)
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert [(t.name, p.partition_index, p.error_code) for t in response.topics for p in t.partitions] == [
            ("orders", 1, 0),
            ("orders", 2, unknown),
            ("unknown", 0, unknown),
            ("orders", -1, unknown),
        ]

    async def test_nothing_known_is_answered_without_the_coordinator(self, client: GroupClient) -> None:
        response = await client.send(ApiKey.OFFSET_COMMIT, 9, commit_request(("unknown", 0)))
        assert response.topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        empty = await client.send(ApiKey.OFFSET_COMMIT, 9, OffsetCommitRequest(group_id="g"))
        assert list(empty.topics) == []

    @pytest.mark.parametrize(
        ("version", "error"), [(8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND)]
    )
    async def test_a_generation_of_an_unknown_group(self, client: GroupClient, version: int, error: ErrorCode) -> None:
        request = commit_request(("orders", 0), generation_id_or_member_epoch=4, member_id="m")
        response = await client.send(ApiKey.OFFSET_COMMIT, version, request)
        assert response.topics[0].partitions[0].error_code == error

    @pytest.mark.parametrize("version", range(1, 8))
    async def test_fetch_of_one_group(self, client: GroupClient, version: int) -> None:
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
    async def test_fetch_of_all_partitions(self, client: GroupClient, version: int) -> None:
        await client.send(ApiKey.OFFSET_COMMIT, 9, commit_request(("orders", 1)))
        fetched = await client.send(ApiKey.OFFSET_FETCH, version, OffsetFetchRequest(group_id="g", topics=None))
        assert [(t.name, [p.partition_index for p in t.partitions]) for t in fetched.topics] == [("orders", [1])]

    @pytest.mark.parametrize("version", [8, 9])
    async def test_fetch_of_several_groups(self, client: GroupClient, version: int) -> None:
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

    async def test_a_refusal_stands_where_the_version_has_a_place_for_it(
        self, client: GroupClient, make_world: Any
    ) -> None:
        """Before the internal topic is there; versions 2 to 7 and groups have one error, version 1 one a partition."""
        fresh = GroupClient(make_world())
        topics = [OffsetFetchRequestTopic(name="orders", partition_indexes=[0])]
        one = OffsetFetchRequest(group_id="g", topics=topics)
        first = await fresh.send(ApiKey.OFFSET_FETCH, 1, one)
        assert first.topics[0].partitions[0].error_code == ErrorCode.NOT_COORDINATOR
        await fresh.world.groups.close()
        assert (await fresh.send(ApiKey.OFFSET_FETCH, 2, one)).error_code == ErrorCode.NOT_COORDINATOR
        many = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id="g", topics=None)])
        (group,) = (await fresh.send(ApiKey.OFFSET_FETCH, 9, many)).groups
        assert group.error_code == ErrorCode.NOT_COORDINATOR
