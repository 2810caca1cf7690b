"""Committed offsets: who may commit, what is kept, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.group.classic_state import GroupState
from mainstem.core.group.commands import CommitOffsets, FetchOffsets, OffsetToCommit, RemoveTopicOffsets
from mainstem.core.group.records import GroupRemoved, OffsetRemoved, OffsetStored
from mainstem.core.group.settings import GroupSettings
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

ORDERS = TopicPartition("orders", 0)
DAY_MS = 24 * 3600 * 1000


def stored(offset: int, **changes: Any) -> OffsetStored:
    fields: dict[str, Any] = {
        "group_id": "g",
        "topic": "orders",
        "partition": 0,
        "offset": offset,
        "leader_epoch": -1,
        "metadata": "",
        "committed_at_ms": 0,
    }
    return OffsetStored(**(fields | changes))


class TestCommit:
    def test_a_member_commits_in_its_generation(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        assert bench.commit(42, generation=1, member_id=leader.member_id) is ErrorCode.NONE
        assert bench.committed() == {ORDERS: 42}

    def test_anybody_commits_for_a_group_that_does_not_exist(self, bench: Any) -> None:
        assert bench.commit(5, group_id="simple") is ErrorCode.NONE
        assert bench.committed("simple") == {ORDERS: 5}
        assert bench.shard.groups["simple"].is_simple

    def test_anybody_commits_for_an_empty_group(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        bench.leave((leader.member_id, None))
        assert bench.commit(5) is ErrorCode.NONE

    def test_the_later_commit_counts_also_backwards(self, bench: Any) -> None:
        bench.commit(9)
        bench.commit(3)
        assert bench.committed() == {ORDERS: 3}

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"generation": 0}, ErrorCode.ILLEGAL_GENERATION),
            ({"generation": 2}, ErrorCode.ILLEGAL_GENERATION),
            ({"generation": -1}, ErrorCode.ILLEGAL_GENERATION),
            ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
            ({"member_id": ""}, ErrorCode.UNKNOWN_MEMBER_ID),
            ({"member_id": "", "generation": -1}, ErrorCode.UNKNOWN_MEMBER_ID),
            ({"group_instance_id": "x"}, ErrorCode.UNKNOWN_MEMBER_ID),
            ({"member_id": "", "generation": -1, "group_instance_id": "x"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ],
    )
    def test_commits_that_do_not_fit_a_stable_group_are_refused(
        self, bench: Any, changes: dict[str, Any], error: ErrorCode
    ) -> None:
        (leader,) = bench.stable_group()
        written = len(bench.log)
        fields = {"generation": 1, "member_id": leader.member_id} | changes
        assert bench.commit(1, **fields) is error
        assert len(bench.log) == written

    def test_a_generation_for_an_unknown_group_depends_on_what_the_client_knows(self, bench: Any) -> None:
        new = bench.commit(1, generation=3, member_id="m", knows_member_epochs=True)
        old = bench.commit(1, generation=3, member_id="m", knows_member_epochs=False)
        assert (new, old) == (ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.ILLEGAL_GENERATION)

    def test_a_commit_before_the_sync_is_sent_back(self, bench: Any) -> None:
        call = bench.join()
        bench.advance(0)
        error = bench.commit(1, generation=1, member_id=call.result.member_id)
        assert error is ErrorCode.REBALANCE_IN_PROGRESS

    def test_members_of_the_last_generation_may_commit_while_the_next_gathers(self, bench: Any) -> None:
        """Clients commit before they rejoin."""
        (leader,) = bench.stable_group()
        bench.join()
        assert bench.group.state is GroupState.PREPARING_REBALANCE
        assert bench.commit(1, generation=1, member_id=leader.member_id) is ErrorCode.NONE

    def test_once_the_next_generation_is_there_the_last_one_may_not(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        bench.stabilize(bench.join(leader.member_id))
        assert bench.commit(1, generation=1, member_id=leader.member_id) is ErrorCode.ILLEGAL_GENERATION

    def test_commits_keep_the_session(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        for _ in range(5):
            bench.advance(9_000)
            assert bench.commit(1, generation=1, member_id=leader.member_id) is ErrorCode.NONE

    @pytest.mark.parametrize(
        ("metadata", "error"),
        [
            ("", ErrorCode.NONE),
            ("x" * 4_096, ErrorCode.NONE),
            ("x" * 4_097, ErrorCode.OFFSET_METADATA_TOO_LARGE),
            ("\N{GRINNING FACE}" * 2_048, ErrorCode.NONE),
            ("\N{GRINNING FACE}" * 2_049, ErrorCode.OFFSET_METADATA_TOO_LARGE),
        ],
    )
    def test_metadata_is_measured_as_java_does(self, bench: Any, metadata: str, error: ErrorCode) -> None:
        assert bench.commit(1, metadata=metadata) is error

    def test_one_bad_partition_does_not_hinder_the_others(self, bench: Any) -> None:
        command = CommitOffsets(
            group_id="g",
            generation=-1,
            member_id="",
            group_instance_id=None,
            offsets=(
                OffsetToCommit(topic="a", partition=0, offset=1, metadata="x" * 5_000),
                OffsetToCommit(topic="b", partition=7, offset=2, leader_epoch=3, metadata="kept"),
            ),
        )
        result = bench.send(command).result
        assert [o.error for o in result.offsets] == [
            ErrorCode.OFFSET_METADATA_TOO_LARGE,
            ErrorCode.NONE,
        ]
        (entry,) = bench.send(FetchOffsets(group_id="g", partitions=None)).result.offsets
        assert (entry.topic, entry.partition, entry.offset) == ("b", 7, 2)
        assert (entry.leader_epoch, entry.metadata) == (3, "kept")

    def test_a_commit_that_could_not_be_stored_is_not_seen(self, bench: Any) -> None:
        bench.refuse_appends = ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert bench.commit(1) is ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert bench.committed() == {}


class TestFetch:
    def test_partitions_without_a_commit_are_answered_with_minus_one(self, bench: Any) -> None:
        bench.commit(4)
        wanted = (TopicPartition("orders", 1), ORDERS, TopicPartition("none", 0))
        result = bench.send(FetchOffsets(group_id="g", partitions=wanted)).result
        assert result.error is ErrorCode.NONE
        assert [(o.topic, o.partition, o.offset, o.error) for o in result.offsets] == [
            ("orders", 1, -1, ErrorCode.NONE),
            ("orders", 0, 4, ErrorCode.NONE),
            ("none", 0, -1, ErrorCode.NONE),
        ]

    def test_an_unknown_group_has_no_offsets_and_no_error(self, bench: Any) -> None:
        assert bench.committed("unknown") == {}

    def test_offsets_survive_a_restart(self, bench: Any) -> None:
        bench.commit(4)
        assert bench.restarted().committed() == {ORDERS: 4}


class TestTransactions:
    """Replay only, so far: what others wrote into `__consumer_offsets` within transactions."""

    def test_offsets_of_an_open_transaction_are_unstable_and_not_seen(self, bench: Any) -> None:
        bench.commit(1)
        bench.shard.apply(stored(9), offset=50, producer_id=7)
        assert bench.committed() == {ORDERS: 1}
        asked = FetchOffsets(group_id="g", partitions=(ORDERS,), require_stable=True)
        (entry,) = bench.send(asked).result.offsets
        assert (entry.error, entry.offset) == (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1)

    @pytest.mark.parametrize(("committed", "offset"), [(True, 9), (False, 1)])
    def test_the_marker_decides(self, bench: Any, committed: bool, offset: int) -> None:
        bench.commit(1)
        bench.shard.apply(stored(9), offset=50, producer_id=7)
        bench.shard.end_transaction(7, committed)
        assert bench.committed() == {ORDERS: offset}
        asked = FetchOffsets(group_id="g", partitions=(ORDERS,), require_stable=True)
        (entry,) = bench.send(asked).result.offsets
        assert entry.error is ErrorCode.NONE

    def test_a_plain_commit_written_after_it_counts(self, bench: Any) -> None:
        bench.shard.apply(stored(9), offset=50, producer_id=7)
        bench.shard.apply(stored(2), offset=51)
        bench.shard.end_transaction(7, True)
        assert bench.committed() == {ORDERS: 2}

    def test_a_marker_of_an_unknown_producer_is_nothing(self, bench: Any) -> None:
        bench.shard.end_transaction(7, True)
        assert bench.shard.groups == {}

    def test_transactions_of_others_are_not_touched(self, bench: Any) -> None:
        bench.shard.apply(stored(9), offset=50, producer_id=7)
        bench.shard.end_transaction(8, True)
        assert bench.committed() == {}
        bench.shard.end_transaction(7, True)
        assert bench.committed() == {ORDERS: 9}

    def test_removing_the_group_covers_open_transactions(self, bench: Any) -> None:
        from mainstem.core.group.commands import RemoveGroup

        bench.commit(1)
        bench.shard.apply(stored(9, partition=1), offset=50, producer_id=7)
        assert bench.send(RemoveGroup(group_id="g")).result.error is ErrorCode.NONE
        bench.shard.end_transaction(7, True)
        assert bench.shard.groups == {}
        assert bench.committed() == {}


class TestExpiry:
    def test_offsets_of_a_simple_group_go_a_retention_after_their_commit(self, bench: Any) -> None:
        bench.commit(1)
        bench.advance(7 * DAY_MS - 600_000)
        assert bench.committed() == {ORDERS: 1}
        bench.advance(600_000)
        assert bench.committed() == {}
        assert bench.shard.groups == {}
        assert bench.log[-2:] == [
            OffsetRemoved(group_id="g", topic="orders", partition=0),
            GroupRemoved(group_id="g"),
        ]

    def test_each_offset_has_its_own_time(self, bench: Any) -> None:
        bench.commit(1)
        bench.advance(DAY_MS)
        bench.commit(2, partition=1)
        bench.advance(6 * DAY_MS)
        assert bench.committed() == {TopicPartition("orders", 1): 2}
        assert "g" in bench.shard.groups

    def test_offsets_of_a_group_that_had_members_go_a_retention_after_it_became_empty(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        bench.commit(1, generation=1, member_id=leader.member_id)
        for _ in range(8 * 24 * 7):
            bench.advance(9_000)
            bench.heartbeat(leader.member_id, 1)
        bench.leave((leader.member_id, None))
        bench.advance(7 * DAY_MS - 600_000)
        assert bench.committed() == {ORDERS: 1}
        bench.advance(1_200_000)
        assert bench.shard.groups == {}

    def test_subscribed_topics_of_a_stable_group_never_expire_others_do(self, make_bench: Any) -> None:
        bench = make_bench(
            GroupSettings(
                group_initial_rebalance_delay_ms=0,
                offsets_retention_ms=20_000,
                offsets_retention_check_interval_ms=10_000,
            )
        )
        (leader,) = bench.stable_group()
        bench.commit(1, generation=1, member_id=leader.member_id, topic="orders")
        bench.commit(1, generation=1, member_id=leader.member_id, topic="left")
        for _ in range(5):
            bench.advance(9_000)
            bench.heartbeat(leader.member_id, 1)
        assert bench.committed() == {ORDERS: 1}

    @pytest.mark.parametrize(
        "changes",
        [{"protocol_type": "connect"}, {"protocols": {"range": b"not a subscription"}}],
    )
    def test_nothing_expires_while_subscriptions_are_unknown(self, make_bench: Any, changes: dict[str, Any]) -> None:
        bench = make_bench(
            GroupSettings(
                group_initial_rebalance_delay_ms=0,
                offsets_retention_ms=20_000,
                offsets_retention_check_interval_ms=10_000,
            )
        )
        (leader,) = bench.stable_group(**changes)
        bench.commit(1, generation=1, member_id=leader.member_id, topic="left")
        for _ in range(5):
            bench.advance(9_000)
            bench.heartbeat(leader.member_id, 1)
        assert len(bench.committed()) == 1

    def test_a_retention_that_came_with_the_commit_counts(self, bench: Any) -> None:
        bench.commit(1, retention_time_ms=1_000)
        assert bench.log[-1].expire_at_ms == bench.now_ms + 1_000
        bench.advance(600_000)
        assert bench.shard.groups == {}

    def test_offsets_with_an_open_transaction_are_kept(self, bench: Any) -> None:
        bench.commit(1)
        bench.shard.apply(stored(9, committed_at_ms=bench.now_ms), offset=50, producer_id=7)
        bench.advance(8 * DAY_MS)
        assert bench.committed() == {ORDERS: 1}

    def test_an_empty_group_without_offsets_is_removed(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        bench.leave((leader.member_id, None))
        bench.advance(600_000)
        assert bench.shard.groups == {}
        assert bench.log[-1] == GroupRemoved(group_id="g")

    def test_a_group_somebody_is_about_to_join_is_kept(self, make_bench: Any) -> None:
        bench = make_bench(GroupSettings(group_initial_rebalance_delay_ms=0, offsets_retention_check_interval_ms=5_000))
        bench.join(requires_member_id=True)
        bench.advance(5_000)
        call = bench.join("member-1")
        bench.advance(0)
        assert call.result.error is ErrorCode.NONE

    def test_the_check_comes_back_by_itself(self, bench: Any) -> None:
        for round_number in range(1, 4):
            bench.commit(round_number)
            bench.advance(8 * DAY_MS)
            assert bench.shard.groups == {}


def test_offsets_of_deleted_topics_go_and_others_stay(bench: Any) -> None:
    bench.commit(1, topic="gone")
    bench.commit(2, topic="orders")
    bench.commit(3, group_id="other", topic="gone")
    bench.send(RemoveTopicOffsets(topics=frozenset({"gone"})))
    assert bench.committed() == {ORDERS: 2}
    assert bench.committed("other") == {}
