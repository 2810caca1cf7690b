"""The coordinator's shard: replies wait for the commit, failures reach everybody, the log and the state stay equal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mainstem.core.group.commands import (
    CommitOffsets,
    FetchOffsets,
    Heartbeat,
    JoinGroup,
    MemberProtocol,
    OffsetToCommit,
    RemoveGroup,
    SyncGroup,
)
from mainstem.model.batch import read_header
from mainstem.model.errors import ErrorCode
from mainstem.model.records import decode
from mainstem.runtime.coordinator_shard import BATCH_BYTES_MAX, refusal_of
from mainstem.runtime.groups import group_settings

GROUP = "g"


def commit(offset: int, group_id: str = GROUP, count: int = 1, metadata: str = "") -> CommitOffsets:
    return CommitOffsets(
        group_id=group_id,
        generation=-1,
        member_id="",
        group_instance_id=None,
        offsets=tuple(OffsetToCommit(topic="t", partition=p, offset=offset, metadata=metadata) for p in range(count)),
    )


FETCH = FetchOffsets(group_id=GROUP, partitions=None)


def join(member_id: str = "", **changes: Any) -> JoinGroup:
    fields: dict[str, Any] = {
        "group_id": GROUP,
        "member_id": member_id,
        "new_member_id": "m",
        "group_instance_id": None,
        "client_id": "c",
        "client_host": "/h",
        "session_timeout_ms": 10_000,
        "rebalance_timeout_ms": 60_000,
        "protocol_type": "consumer",
        "protocols": (MemberProtocol("range", b""),),
        "requires_member_id": False,
        "skips_assignment": True,
    }
    return JoinGroup(**(fields | changes))


def same(result: Any) -> Any:
    return result


def error_of(result: Any) -> ErrorCode:
    (entry,) = result.offsets
    assert isinstance(entry.error, ErrorCode)
    return entry.error


@pytest.fixture
async def world(make_world: Any, make_cluster: Any) -> Any:
    world = make_world(make_cluster(partition_count=1))
    world.cluster.create("__consumer_offsets")
    yield world
    await world.groups.close()


async def test_a_reply_is_there_at_once_if_the_commit_is(world: Any) -> None:
    result = world.groups.submit(commit(1), same)
    assert error_of(result) is ErrorCode.NONE


async def test_a_reply_waits_for_the_commit(world: Any) -> None:
    partition = world.partition_of(GROUP)
    partition.is_held = True
    future = world.groups.submit(commit(1), same)
    assert isinstance(future, asyncio.Future)
    assert not future.done()
    partition.commit()
    assert error_of(future.result()) is ErrorCode.NONE


async def test_nobody_sees_an_offset_before_it_is_committed(world: Any) -> None:
    world.groups.submit(commit(1), same)
    partition = world.partition_of(GROUP)
    partition.is_held = True
    world.groups.submit(commit(2), same)
    fetch = world.groups.submit(FETCH, same)
    assert not fetch.done(), "offset 2 might be taken back, offset 1 is no longer the answer"
    partition.commit()
    assert [o.offset for o in fetch.result().offsets] == [2]


async def test_replies_come_in_the_order_of_their_records(world: Any) -> None:
    partition = world.partition_of(GROUP)
    partition.is_held = True
    futures = [world.groups.submit(commit(n), same) for n in range(4)]
    partition.commit(up_to=2)
    assert [f.done() for f in futures] == [True, True, False, False]
    partition.commit()
    assert all(f.done() for f in futures)


async def test_one_decision_is_one_batch(world: Any) -> None:
    world.groups.submit(commit(1, count=5), same)
    (batch,) = world.partition_of(GROUP).batches
    header = read_header(batch)
    assert (header.records_count, header.base_sequence, header.producer_id) == (5, 0, -1)


async def test_a_removal_may_take_several_batches(world: Any) -> None:
    count = 8_000
    for start in range(0, count, 1_000):
        many = tuple(OffsetToCommit(topic="t" * 100, partition=p, offset=1) for p in range(start, start + 1_000))
        fields = {"group_id": GROUP, "generation": -1, "member_id": "", "group_instance_id": None}
        world.groups.submit(CommitOffsets(offsets=many, **fields), same)
    partition = world.partition_of(GROUP)
    before = len(partition.batches)
    assert world.groups.submit(RemoveGroup(group_id=GROUP), same).error is ErrorCode.NONE
    removal = partition.batches[before:]
    assert len(removal) > 1
    assert all(len(batch) < BATCH_BYTES_MAX * 2 for batch in removal)
    assert sum(len(decode(batch)) for batch in removal) == count + 1
    assert world.groups.submit(FETCH, same).offsets == ()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.REQUEST_TIMED_OUT, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
        (ErrorCode.RECORD_LIST_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.CORRUPT_MESSAGE, ErrorCode.CORRUPT_MESSAGE),
    ],
)
async def test_a_refused_append_is_told_as_kafka_tells_it(world: Any, error: ErrorCode, told: ErrorCode) -> None:
    assert refusal_of(error) is told
    world.groups.submit(commit(1), same)
    partition = world.partition_of(GROUP)
    partition.refuse = error
    assert error_of(world.groups.submit(commit(2), same)) is told
    partition.refuse = None
    result = world.groups.submit(FETCH, same)
    if result.error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
        await world.groups.committed_offsets(GROUP, [])
        result = world.groups.submit(FETCH, same)
    assert [o.offset for o in result.offsets] == [1]


async def test_a_refused_generation_reaches_all_members_and_they_can_go_on(world: Any) -> None:
    first = world.groups.submit(join(new_member_id="one"), same)
    second = world.groups.submit(join(new_member_id="two"), same)
    world.time.advance(0)
    leader, follower = first.result(), second.result()
    fields = {
        "group_id": GROUP,
        "generation": 1,
        "group_instance_id": None,
        "protocol_type": None,
        "protocol_name": None,
    }
    waiting = world.groups.submit(SyncGroup(member_id=follower.member_id, assignments={}, **fields), same)
    world.partition_of(GROUP).refuse = ErrorCode.NOT_ENOUGH_REPLICAS
    own = world.groups.submit(SyncGroup(member_id=leader.member_id, assignments={}, **fields), same)
    assert own.error is waiting.result().error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    world.partition_of(GROUP).refuse = None
    calls = [world.groups.submit(join(m.member_id), same) for m in (leader, follower)]
    assert (await calls[0]).generation == calls[1].generation == 2
    assert world.log.at("error") == []


async def test_a_partition_that_goes_away_sends_everybody_to_look_for_the_coordinator(world: Any) -> None:
    parked = world.groups.submit(join(), same)
    partition = world.partition_of(GROUP)
    partition.is_held = True
    waiting = world.groups.submit(commit(1, "other"), same)
    partition.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert parked.result().error is ErrorCode.NOT_COORDINATOR
    assert error_of(waiting.result()) is ErrorCode.NOT_COORDINATOR
    assert world.log.at("warning") == ["coordinator.shard_lost"]


async def test_a_broken_disk_sends_everybody_to_look_for_the_coordinator(world: Any) -> None:
    parked = world.groups.submit(join(), same)
    world.partition_of(GROUP).is_broken = True
    assert error_of(world.groups.submit(commit(1, "other"), same)) is ErrorCode.NOT_COORDINATOR
    assert parked.result().error is ErrorCode.NOT_COORDINATOR
    assert "coordinator.storage_failed" in world.log.at("error")


async def test_a_lost_shard_is_read_back_on_the_next_use(world: Any) -> None:
    world.groups.submit(commit(1), same)
    partition = world.partition_of(GROUP)
    partition.refuse = ErrorCode.NOT_LEADER_OR_FOLLOWER
    world.groups.submit(commit(2), same)
    partition.refuse = None
    refused = world.groups.submit(FETCH, same)
    assert refused.error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    heartbeat = Heartbeat(group_id=GROUP, generation=1, member_id="m", group_instance_id=None)
    assert world.groups.submit(heartbeat, same).error is ErrorCode.NONE, "nobody must rejoin for a reload"
    found = await world.groups.committed_offsets(GROUP, [("t", 0)])
    assert [one.offset for one in found.values()] == [1]


async def test_an_answer_that_takes_too_long_is_given_up_and_the_record_stays(world: Any) -> None:
    partition = world.partition_of(GROUP)
    partition.is_held = True
    first = world.groups.submit(commit(1), same)
    world.time.advance(3_000)
    second = world.groups.submit(commit(2), same)
    world.time.advance(1_999)
    assert not first.done()
    world.time.advance(1)
    assert error_of(first.result()) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert not second.done()
    partition.commit()
    assert error_of(second.result()) is ErrorCode.NONE
    assert [o.offset for o in world.groups.submit(FETCH, same).offsets] == [2]


async def test_a_late_second_answer_is_given_up_too(world: Any) -> None:
    world.partition_of(GROUP).is_held = True
    first = world.groups.submit(commit(1), same)
    world.time.advance(3_000)
    fetch = world.groups.submit(FETCH, same)
    world.time.advance(5_000)
    assert error_of(first.result()) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert fetch.result().error is ErrorCode.NOT_COORDINATOR, "older consumers know only this one here"


async def test_a_client_that_went_away_does_no_harm(world: Any) -> None:
    partition = world.partition_of(GROUP)
    partition.is_held = True
    future = world.groups.submit(commit(1), same)
    future.cancel()
    partition.commit()
    assert [o.offset for o in world.groups.submit(FETCH, same).offsets] == [1]


async def test_a_bug_gives_the_shard_up_and_reaches_its_own_request(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.groups.submit(commit(1), same)
    parked = world.groups.submit(join(), same)
    from mainstem.core.group import offsets

    def broken(*args: Any) -> None:
        raise AssertionError("planted")

    monkeypatch.setattr(offsets, "commit", broken)
    with pytest.raises(AssertionError, match="planted"):
        world.groups.submit(commit(2), same)
    monkeypatch.undo()
    assert parked.result().error is ErrorCode.NOT_COORDINATOR
    found = await world.groups.committed_offsets(GROUP, [("t", 0)])
    assert [one.offset for one in found.values()] == [1]


async def test_a_bug_in_an_answer_reaches_that_request_only(world: Any) -> None:
    def broken(result: Any) -> Any:
        raise ZeroDivisionError("planted")

    with pytest.raises(ZeroDivisionError):
        world.groups.submit(commit(1), broken)
    partition = world.partition_of(GROUP)
    partition.is_held = True
    bad, good = world.groups.submit(commit(2), broken), world.groups.submit(commit(3), same)
    partition.commit()
    assert isinstance(bad.exception(), ZeroDivisionError)
    assert error_of(good.result()) is ErrorCode.NONE


async def test_sessions_end_by_the_clock(world: Any) -> None:
    call = world.groups.submit(join(), same)
    world.time.advance(0)
    assert call.result().error is ErrorCode.NONE
    world.time.advance(10_000)
    heartbeat = Heartbeat(group_id=GROUP, generation=1, member_id="m", group_instance_id=None)
    assert world.groups.submit(heartbeat, same).error is ErrorCode.UNKNOWN_MEMBER_ID


async def test_after_close_nobody_waits_and_no_timer_is_left(world: Any) -> None:
    parked = world.groups.submit(join(), same)
    await world.groups.close()
    assert parked.result().error is ErrorCode.NOT_COORDINATOR
    assert error_of(world.groups.submit(commit(1), same)) is ErrorCode.NOT_COORDINATOR
    world.time.advance(10_000_000)


async def test_a_session_lasts_from_the_answer_on_when_the_disk_is_slow(world: Any) -> None:
    """Whoever waits for our answer is not silent: its session must not end before it could speak again."""
    joined = world.groups.submit(join(session_timeout_ms=6_000), same)
    world.time.advance(0)
    member = await joined if isinstance(joined, asyncio.Future) else joined
    partition = world.partition_of(GROUP)
    partition.is_held = True
    sync = world.groups.submit(
        SyncGroup(
            group_id=GROUP,
            generation=member.generation,
            member_id=member.member_id,
            group_instance_id=None,
            protocol_type=None,
            protocol_name=None,
            assignments={member.member_id: b"all"},
        ),
        same,
    )
    world.time.advance(4_000)
    partition.commit()
    partition.is_held = False
    assert sync.result().assignment == b"all"

    heartbeat = Heartbeat(
        group_id=GROUP, generation=member.generation, member_id=member.member_id, group_instance_id=None
    )
    world.time.advance(5_900)
    assert world.groups.submit(heartbeat, same).error is ErrorCode.NONE
    world.time.advance(6_000)
    assert world.groups.submit(heartbeat, same).error is ErrorCode.UNKNOWN_MEMBER_ID


async def test_expired_offsets_are_looked_for_again_after_a_refused_append(world: Any) -> None:
    """The search repeats itself by a timer, which a decision that could not be written has not set."""
    world.groups.submit(commit(1), same)
    partition = world.partition_of(GROUP)
    settings = group_settings(world.config)
    partition.refuse = ErrorCode.NOT_ENOUGH_REPLICAS
    world.time.advance(settings.offsets_retention_ms + settings.offsets_retention_check_interval_ms)
    partition.refuse = None
    assert [o.offset for o in world.groups.submit(FETCH, same).offsets] == [1]
    world.time.advance(settings.offsets_retention_check_interval_ms)
    assert world.groups.submit(FETCH, same).offsets == ()
