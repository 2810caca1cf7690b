"""What is counted, once and not again by whoever reads the log back."""

from __future__ import annotations

from typing import Any

from mainstem.core.group.commands import DeleteOffsets
from mainstem.core.group.counters import GroupCounters
from mainstem.core.group.settings import GroupSettings
from mainstem.model.ids import TopicPartition


def test_generations_count_when_their_assignment_is_stored(bench: Any) -> None:
    (leader,) = bench.stable_group()
    assert bench.shard.counters == GroupCounters(classic_rebalances=1)
    # Joins that are not answered yet are no rebalance, and neither is a group that becomes empty.
    bench.join()
    assert bench.shard.counters == GroupCounters(classic_rebalances=1)
    bench.leave((leader.member_id, None))
    assert bench.shard.counters == GroupCounters(classic_rebalances=1)


def test_epochs_of_consumer_groups_count_also_when_a_member_leaves(bench: Any) -> None:
    bench.enter("m")
    bench.enter("n")
    assert bench.shard.counters.consumer_rebalances == 2
    bench.beat("n", -1)
    assert bench.shard.counters == GroupCounters(consumer_rebalances=3)


def test_offsets_are_counted_as_they_come_and_go(make_bench: Any) -> None:
    settings = GroupSettings(
        group_initial_rebalance_delay_ms=0, offsets_retention_ms=20_000, offsets_retention_check_interval_ms=10_000
    )
    bench = make_bench(settings)
    bench.commit(5)
    bench.commit(6)
    bench.commit(7, topic="bills")
    assert bench.shard.counters == GroupCounters(offset_commits=3)
    bench.send(DeleteOffsets(group_id="g", partitions=(TopicPartition("bills", 0),)))
    assert bench.shard.counters == GroupCounters(offset_commits=3, offset_deletions=1)
    bench.advance(40_000)
    assert bench.committed() == {}
    assert bench.shard.counters == GroupCounters(offset_commits=3, offset_deletions=1, offset_expirations=1)


def test_a_replay_counts_nothing(bench: Any) -> None:
    bench.stable_group()
    bench.commit(5, group_id="simple")
    assert bench.restarted().shard.counters == GroupCounters()
