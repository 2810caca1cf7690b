"""A consumer group that is read back is the group it was, and its members notice nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainstem.core.group.consumer_records import (
    CurrentAssignmentStored,
    SubscriptionMetadataRemoved,
    SubscriptionMetadataStored,
)
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.model.errors import ErrorCode
from mainstem.model.records import decode
from mainstem.wire.stored.consumer_offsets import decode_record

DATA = Path(__file__).parents[2] / "data" / "kafka-4.1-consumer-offsets"


def picture(group: ConsumerGroup) -> tuple[Any, ...]:
    return (
        group.epoch,
        group.target_epoch,
        group.metadata_hash,
        group.members,
        group.static_members,
        group.targets,
        group.regexes,
        group.regex_members,
        group.classic_members,
        vars(group)["_owner_epochs"],
        group.subscribed_names(),
    )


def busy(bench: Any) -> None:
    bench.enter("m", instance_id="one")
    bench.enter("n", topics=["orders", "bills"], server_assignor="range")
    bench.enter("o", topics=None, regex="o.*")
    bench.advance(0)
    bench.beat("m", 1, instance_id="one")
    bench.beat("m", -2, instance_id="one")
    bench.beat("n", 2)


def test_the_group_is_the_same(bench: Any) -> None:
    busy(bench)
    assert picture(bench.restarted().consumers) == picture(bench.consumers)


def test_heartbeats_go_on_without_a_rebalance(bench: Any) -> None:
    bench.enter("m")
    bench.enter("n")
    kept = bench.parts(bench.beat("m", 1))
    bench.beat("m", 1, owned={"orders": kept})
    bench.beat("n", 2)
    restarted = bench.restarted()
    written = len(restarted.log)
    for member_id in ("m", "n"):
        answer = restarted.beat(member_id, 2)
        assert (answer.error, answer.member_epoch, answer.assignment) == (ErrorCode.NONE, 2, None)
    assert len(restarted.log) == written


def test_members_that_do_not_show_up_again_are_fenced(bench: Any) -> None:
    bench.enter("m")
    restarted = bench.restarted()
    restarted.advance(44_999)
    assert not restarted.consumers.is_empty
    restarted.advance(1)
    assert restarted.consumers.is_empty


def test_who_was_giving_up_partitions_is_still_timed(bench: Any) -> None:
    bench.enter("m", rebalance_timeout_ms=20_000)
    bench.enter("n")
    bench.beat("m", 1)
    restarted = bench.restarted()
    restarted.advance(19_999)
    assert "m" in restarted.consumers.members
    restarted.advance(1)
    assert "m" not in restarted.consumers.members


def test_a_topic_that_changed_meanwhile_is_noticed(bench: Any) -> None:
    bench.enter("m")
    bench.cluster.counts["orders"] = 5
    restarted = bench.restarted()
    assert restarted.parts(restarted.beat("m", 1)) == {0, 1, 2, 3, 4}


def test_the_state_of_a_later_version_fences_who_still_owns_something(bench: Any) -> None:
    bench.enter("m")
    stored = bench.consumers.members["m"].assignment_record("g")
    later = CurrentAssignmentStored(
        group_id="g",
        member_id="m",
        member_epoch=1,
        previous_member_epoch=0,
        state=42,
        assigned=stored.assigned,
        pending_revocation={},
    )
    bench.log.append(later)
    restarted = bench.restarted()
    refused = restarted.beat("m", 1, owned={"orders": {0}})
    assert refused.error is ErrorCode.FENCED_MEMBER_EPOCH
    assert restarted.beat("m", 1, owned={}).error is ErrorCode.NONE


def test_topic_metadata_of_kafka_4_0_is_cleaned_up(bench: Any) -> None:
    bench.enter("m")
    bench.log.append(SubscriptionMetadataStored(group_id="g", value=b"\0\0\1\0"))
    restarted = bench.restarted()
    restarted.beat("m", 1)
    assert restarted.log[-1] == SubscriptionMetadataRemoved(group_id="g")


def test_tombstones_without_a_group_mean_nothing(bench: Any) -> None:
    """Compaction removes the records before a tombstone earlier than the tombstone."""
    bench.enter("m")
    bench.beat("m", -1)
    tombstones = [r for r in bench.log if type(r).__name__.endswith("Removed")]
    bench.log[:] = tombstones
    assert tombstones
    assert bench.restarted().shard.groups == {}


def test_offsets_before_the_group_do_not_make_it_a_classic_one(bench: Any) -> None:
    """Compaction may keep an old commit in front of the group's newest records."""
    bench.enter("m")
    bench.commit(7, member_id="m", generation=1)
    bench.log.insert(0, bench.log.pop())
    assert list(bench.restarted().consumers.members) == ["m"]


def test_the_group_that_apache_kafka_wrote_is_read(bench: Any) -> None:
    columns = decode((DATA / "32.log").read_bytes())
    for key, value in zip(columns.keys, columns.values, strict=True):
        record = decode_record(key, value)
        assert record is not None
        bench.log.append(record)
    group = bench.restarted().shard.groups["golden-848"]
    assert isinstance(group, ConsumerGroup)
    assert (group.epoch, group.target_epoch, group.is_empty, str(group.state)) == (2, 1, True, "Empty")
