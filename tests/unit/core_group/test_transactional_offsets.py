"""Offsets inside transactions: who may commit them, and when they count."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.decision import Transactional
from mainstem.core.group.commands import CommitTransactionalOffsets, OffsetToCommit
from mainstem.core.group.records import OffsetStored
from mainstem.core.group.results import CommitResult
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.model.errors import ErrorCode

PRODUCER_ID = 42


def command(**changes: Any) -> CommitTransactionalOffsets:
    fields: dict[str, Any] = {
        "group_id": "g",
        "producer_id": PRODUCER_ID,
        "producer_epoch": 3,
        "generation": -1,
        "member_id": "",
        "group_instance_id": None,
        "offsets": (OffsetToCommit(topic="orders", partition=0, offset=7),),
        "token": "caller",
    }
    return CommitTransactionalOffsets(**(fields | changes))


def commit(bench: Any, **changes: Any) -> tuple[ErrorCode, list[OffsetStored]]:
    decision = bench.shard.decide(command(**changes), bench.now_ms)
    (reply,) = decision.replies
    assert isinstance(reply.response, CommitResult)
    return reply.response.offsets[0].error, decision.records


class TestWhoMayCommit:
    def test_anybody_for_a_group_that_does_not_exist(self, bench: Any) -> None:
        error, records = commit(bench)
        assert error is ErrorCode.NONE
        assert [(r.topic, r.partition, r.offset) for r in records] == [("orders", 0, 7)]

    def test_nobody_with_a_generation_for_a_group_that_does_not_exist(self, bench: Any) -> None:
        assert commit(bench, generation=0) == (ErrorCode.ILLEGAL_GENERATION, [])

    def test_a_member_in_its_generation(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        assert commit(bench, generation=1, member_id=leader.member_id)[0] is ErrorCode.NONE

    def test_old_clients_that_name_no_member_even_while_there_are_some(self, bench: Any) -> None:
        bench.stable_group()
        assert commit(bench)[0] is ErrorCode.NONE

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"generation": 0}, ErrorCode.ILLEGAL_GENERATION),
            ({"generation": 2}, ErrorCode.ILLEGAL_GENERATION),
            ({"generation": 1, "member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
            ({"generation": -1, "member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
            ({"generation": 1, "group_instance_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ],
    )
    def test_nobody_else(self, bench: Any, changes: dict[str, Any], error: ErrorCode) -> None:
        (leader,) = bench.stable_group()
        assert commit(bench, **({"member_id": leader.member_id} | changes)) == (error, [])

    def test_metadata_that_is_too_long_spoils_its_partition_only(self, bench: Any) -> None:
        offsets = (
            OffsetToCommit(topic="orders", partition=0, offset=1, metadata="x" * 5_000),
            OffsetToCommit(topic="orders", partition=1, offset=2),
        )
        decision = bench.shard.decide(command(offsets=offsets), bench.now_ms)
        errors = [o.error for o in decision.replies[0].response.offsets]
        assert errors == [ErrorCode.OFFSET_METADATA_TOO_LARGE, ErrorCode.NONE]
        assert [r.partition for r in decision.records] == [1]


class TestWhenTheyCount:
    def shard(self) -> GroupShard:
        shard = GroupShard(GroupSettings())
        shard.loaded(0)
        return shard

    def applied(self, shard: GroupShard) -> GroupShard:
        decision = shard.decide(command(), 0)
        assert decision.transactional == Transactional(PRODUCER_ID, 3)
        for record in decision.records:
            shard.apply(record, offset=0, producer_id=PRODUCER_ID)
        return shard

    def offsets(self, shard: GroupShard) -> list[int]:
        return [entry.stored.offset for entry in shard.offsets.of_group("g").values()]

    def test_not_before_the_marker(self) -> None:
        shard = self.applied(self.shard())
        assert self.offsets(shard) == []
        assert shard.offsets.has_open_transaction("g")

    @pytest.mark.parametrize(("is_commit", "expected"), [(True, [7]), (False, [])])
    def test_with_the_marker(self, is_commit: bool, expected: list[int]) -> None:
        shard = self.applied(self.shard())
        shard.end_transaction(PRODUCER_ID, is_commit)
        assert self.offsets(shard) == expected
        assert not shard.offsets.has_open_transaction("g")

    def test_not_with_the_marker_of_another_producer(self) -> None:
        shard = self.applied(self.shard())
        shard.end_transaction(PRODUCER_ID + 1, True)
        assert self.offsets(shard) == []
