"""Members of both protocols in one group, and groups that change their protocol while they live."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.consumer_member import MemberState
from mainstem.core.group.consumer_protocol import read_assignment, write_assignment
from mainstem.core.group.consumer_state import ConsumerGroup, ConsumerGroupState
from mainstem.core.group.records import GroupRemoved, GroupStored
from mainstem.core.group.settings import GroupSettings, MigrationPolicy
from mainstem.model.errors import ErrorCode


def metadata(*topics: str, owned: set[int] | None = None, rack: str | None = None) -> bytes:
    """A subscription of the consumer protocol, version 3."""
    out = struct.pack(">hi", 3, len(topics))
    out += b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics) + struct.pack(">i", -1)
    parts = sorted(owned or ())
    out += struct.pack(">i", int(bool(parts)))
    if parts:
        out += struct.pack(">h", 6) + b"orders" + struct.pack(f">i{len(parts)}i", len(parts), *parts)
    out += struct.pack(">i", 1)
    return out + (struct.pack(">h", -1) if rack is None else struct.pack(">h", len(rack)) + rack.encode())


def joins(bench: Any, member_id: str = "", owned: set[int] | None = None, **changes: Any) -> Any:
    return bench.join(member_id, protocols={"range": metadata("orders", owned=owned)}, **changes)


def parts(data: bytes) -> set[int]:
    return set(read_assignment(data).partitions.get("orders", ()))


def classic_group(bench: Any, size: int = 2, **changes: Any) -> list[Any]:
    """A stable classic group whose leader shared out the four partitions of `orders`."""
    calls = [joins(bench, **changes) for _ in range(size)]
    bench.advance(0)
    joined = [call.result for call in calls]
    leader = next(j for j in joined if j.leader == j.member_id)
    shares = {j.member_id: frozenset(range(n, 4, size)) for n, j in enumerate(joined)}
    for each in [j for j in joined if j is not leader]:
        bench.sync(each)
    bench.sync(leader, {m: write_assignment({"orders": p}, 1) for m, p in shares.items()})
    assert bench.group.state is GroupState.STABLE
    return joined


def rejoin(bench: Any, member_id: str, owned: set[int]) -> tuple[Any, set[int]]:
    joined = joins(bench, member_id, owned).result
    assert joined.error is ErrorCode.NONE
    synced = bench.sync(joined, protocol_name="range", protocol_type="consumer").result
    assert synced.error is ErrorCode.NONE
    return joined, parts(synced.assignment)


def test_a_member_of_the_new_protocol_makes_a_classic_group_a_consumer_group(bench: Any) -> None:
    old = classic_group(bench)
    generation = old[0].generation
    new = bench.enter("n")
    group = bench.consumers
    assert (new.error, new.member_epoch, bench.parts(new)) == (ErrorCode.NONE, generation + 1, set())
    assert (group.epoch, group.classic_members, len(group.members)) == (generation + 1, 2, 3)
    assert GroupRemoved(group_id="g") in bench.log
    assert [bench.heartbeat(j.member_id, generation) for j in old] == [ErrorCode.REBALANCE_IN_PROGRESS] * 2

    owned = {j.member_id: {n, n + 2} for n, j in enumerate(old)}
    for member_id, had in owned.items():
        _, kept = rejoin(bench, member_id, had)
        if kept != had:
            assert kept < had
            owned[member_id] = kept
            joined, again = rejoin(bench, member_id, kept)
            assert (again, joined.generation) == (kept, generation + 1)
    given = bench.parts(bench.beat("n", generation + 1))
    assert given == {0, 1, 2, 3} - owned[old[0].member_id] - owned[old[1].member_id]
    assert given
    assert group.epoch == generation + 1
    assert bench.consumers.state is ConsumerGroupState.STABLE
    assert [bench.heartbeat(j.member_id, generation + 1) for j in old] == [ErrorCode.NONE] * 2


def test_members_that_wait_in_a_classic_rebalance_begin_anew(bench: Any) -> None:
    old = classic_group(bench)
    waiting = joins(bench, old[0].member_id)
    assert waiting.result is None
    bench.enter("n")
    assert waiting.result.error is ErrorCode.REBALANCE_IN_PROGRESS


def test_members_that_wait_for_an_assignment_begin_anew(bench: Any) -> None:
    call = joins(bench)
    bench.advance(0)
    other = joins(bench)
    bench.sync(call.result)
    first = joins(bench, call.result.member_id)
    bench.advance(0)
    follower = next(c.result for c in (first, other) if c.result.leader != c.result.member_id)
    waiting = bench.sync(follower)
    assert waiting.result is None
    bench.enter("n")
    assert waiting.result.error is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_group_before_its_first_generation_can_change(make_bench: Any) -> None:
    """The initial delay runs, so nobody has chosen a protocol yet."""
    bench = make_bench(GroupSettings(group_initial_rebalance_delay_ms=3_000))
    waiting = joins(bench)
    assert bench.enter("n").error is ErrorCode.NONE
    assert waiting.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    joined, _ = rejoin(bench, waiting.result.member_id, set())
    assert joined.generation == bench.consumers.epoch
    bench.advance(3_000)
    assert len(bench.consumers.members) == 2


@pytest.mark.parametrize(
    ("settings", "changes", "why"),
    [
        ({"consumer_migration_policy": MigrationPolicy.DISABLED}, {}, "online upgrade is disabled"),
        ({"consumer_migration_policy": MigrationPolicy.DOWNGRADE}, {}, "online upgrade is disabled"),
        ({"consumer_max_size": 1}, {}, "the group size exceeds the consumer group maximum size"),
        ({}, {"protocol_type": "connect"}, "the group does not use the consumer embedded protocol"),
        ({}, {"assignment": b"\0"}, "the embedded consumer protocol is malformed"),
        ({}, {"assignment": b"\0\0\0\0\0\0\0\0\0\1x"}, "an unsupported custom assignor is in use"),
    ],
)
def test_groups_that_cannot_change_stay_classic(
    make_bench: Any, settings: dict[str, Any], changes: dict[str, Any], why: str
) -> None:
    bench = make_bench(GroupSettings(group_initial_rebalance_delay_ms=0, **settings))
    assignment = changes.pop("assignment", None)
    joined = [joins(bench, **changes), joins(bench, **changes)]
    bench.advance(0)
    leader = next(c.result for c in joined if c.result.leader == c.result.member_id)
    good = write_assignment({"orders": frozenset({0})}, 0)
    bench.sync(leader, {c.result.member_id: good if assignment is None else assignment for c in joined})
    written = len(bench.log)
    result = bench.enter("n")
    assert result.error is ErrorCode.GROUP_ID_NOT_FOUND
    assert why in result.error_message
    assert len(bench.log) == written
    assert bench.heartbeat(leader.member_id, leader.generation) is ErrorCode.NONE


def test_a_conversion_that_could_not_be_written_did_not_happen(bench: Any) -> None:
    old = classic_group(bench)
    bench.refuse_appends = ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert bench.enter("n").error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    bench.refuse_appends = None
    assert [bench.heartbeat(j.member_id, j.generation) for j in old] == [ErrorCode.NONE] * 2
    bench.advance(10_000)
    assert bench.group.state is GroupState.PREPARING_REBALANCE or bench.group.state is GroupState.EMPTY


def mixed(bench: Any) -> tuple[Any, int]:
    """One classic member and one of the consumer protocol, settled; returns the classic one's join and the epoch."""
    (old,) = classic_group(bench, size=1)
    bench.enter("n")
    _, kept = rejoin(bench, old.member_id, {0, 1, 2, 3})
    joined, _ = rejoin(bench, old.member_id, kept)
    bench.beat("n", joined.generation)
    assert bench.consumers.state is ConsumerGroupState.STABLE
    return joined, joined.generation


def test_the_last_member_of_the_new_protocol_turns_the_group_back(bench: Any) -> None:
    joined, epoch = mixed(bench)
    assert bench.beat("n", -1).error is ErrorCode.NONE
    group = bench.group
    assert (group.state, group.generation) == (GroupState.PREPARING_REBALANCE, epoch)
    assert list(group.members) == [joined.member_id]
    assert bench.heartbeat(joined.member_id, epoch) is ErrorCode.REBALANCE_IN_PROGRESS
    again = joins(bench, joined.member_id)
    assert (again.result.error, again.result.generation, again.result.leader) == (
        ErrorCode.NONE,
        epoch + 1,
        joined.member_id,
    )
    restarted = bench.restarted()
    assert isinstance(restarted.shard.groups["g"], ClassicGroup)


def test_a_session_that_ends_turns_the_group_back_too(bench: Any) -> None:
    joined, epoch = mixed(bench)
    for _ in range(9):
        bench.advance(5_000)
        bench.heartbeat(joined.member_id, epoch)
    assert bench.group.state is GroupState.PREPARING_REBALANCE


@pytest.mark.parametrize("policy", [MigrationPolicy.UPGRADE, MigrationPolicy.DISABLED])
def test_a_group_that_may_not_go_back_stays_a_consumer_group(make_bench: Any, policy: MigrationPolicy) -> None:
    bench = make_bench(
        GroupSettings(group_initial_rebalance_delay_ms=0, consumer_migration_policy=MigrationPolicy.UPGRADE)
    )
    joined, epoch = mixed(bench)
    bench.beat("n", -1)
    assert bench.consumers.classic_members == 1
    assert bench.heartbeat(joined.member_id, epoch) is ErrorCode.REBALANCE_IN_PROGRESS
    _, given = rejoin(bench, joined.member_id, {0, 1})
    assert given == {0, 1, 2, 3}


def test_an_empty_consumer_group_becomes_classic_and_back(bench: Any) -> None:
    bench.enter("m")
    bench.beat("m", -1)
    assert joins(bench, "m").result.error is ErrorCode.UNKNOWN_MEMBER_ID
    (old,) = classic_group(bench, size=1)
    assert bench.restarted().group.state is GroupState.STABLE
    bench.leave((old.member_id, None))
    assert bench.enter("m").member_epoch == 1
    assert isinstance(bench.restarted().shard.groups["g"], ConsumerGroup)


def test_a_join_to_an_empty_consumer_group_that_could_not_be_written(bench: Any) -> None:
    bench.enter("m")
    bench.beat("m", -1)
    bench.refuse_appends = ErrorCode.COORDINATOR_NOT_AVAILABLE
    call = joins(bench)
    bench.advance(0)
    assert (
        call.result == ErrorCode.COORDINATOR_NOT_AVAILABLE or call.result.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    )
    assert bench.consumers.is_empty


def test_a_classic_member_enters_a_consumer_group(bench: Any) -> None:
    bench.enter("m")
    asked = joins(bench, requires_member_id=True).result
    assert asked.error is ErrorCode.MEMBER_ID_REQUIRED
    joined, given = rejoin(bench, asked.member_id, set())
    assert (joined.generation, joined.protocol_name, joined.leader, joined.members) == (2, "range", "", ())
    assert given == set()
    kept = bench.parts(bench.beat("m", 1))
    bench.beat("m", 1, owned={"orders": kept})
    assert bench.heartbeat(asked.member_id, 2) is ErrorCode.REBALANCE_IN_PROGRESS, "what it waits for is free"
    _, given = rejoin(bench, asked.member_id, set())
    assert given == {0, 1, 2, 3} - kept
    assert bench.heartbeat(asked.member_id, 2) is ErrorCode.NONE


def test_a_member_that_waits_for_others_is_not_disturbed(bench: Any) -> None:
    bench.enter("m")
    asked = joins(bench, requires_member_id=True).result
    rejoin(bench, asked.member_id, set())
    assert bench.consumers.members[asked.member_id].state is MemberState.UNRELEASED_PARTITIONS
    assert bench.heartbeat(asked.member_id, 2) is ErrorCode.NONE


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": {"range": b"\0"}}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": {"range": b""}}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": {}}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"session_timeout_ms": 1}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"member_id": "x", "group_instance_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_classic_joins_that_make_no_sense_are_refused(bench: Any, changes: dict[str, Any], error: ErrorCode) -> None:
    bench.enter("m")
    written = len(bench.log)
    assert bench.join(**changes).result.error is error
    assert len(bench.log) == written


def test_classic_requests_of_strangers_are_refused(bench: Any) -> None:
    joined, epoch = mixed(bench)
    assert bench.heartbeat("nobody", epoch) is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.heartbeat("n", epoch) is ErrorCode.UNKNOWN_MEMBER_ID, "it speaks the consumer protocol"
    assert bench.heartbeat(joined.member_id, epoch - 1) is ErrorCode.ILLEGAL_GENERATION
    assert bench.sync(joined, generation=epoch + 1).result.error is ErrorCode.ILLEGAL_GENERATION
    assert bench.sync(joined, protocol_name="other").result.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert bench.sync(joined, protocol_type="connect").result.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert bench.commit(1, member_id=joined.member_id, generation=epoch - 1) is ErrorCode.ILLEGAL_GENERATION
    assert bench.commit(1, member_id=joined.member_id, generation=epoch) is ErrorCode.NONE
    assert bench.leave(("nobody", None), ("", "nobody"), (joined.member_id, None)) == [
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.NONE,
    ]
    assert list(bench.consumers.members) == ["n"]


def test_a_classic_member_that_does_not_rejoin_is_fenced(bench: Any) -> None:
    """It still sends heartbeats, so its session does not end; its rebalance timeout does."""
    joined, epoch = mixed(bench)
    newest = {"n": epoch, "o": bench.enter("o").member_epoch}
    for _ in range(12):
        assert bench.heartbeat(joined.member_id, epoch) is ErrorCode.REBALANCE_IN_PROGRESS
        for member_id in newest:
            newest[member_id] = bench.beat(member_id, newest[member_id], owned={}).member_epoch
        bench.advance(5_000)
    assert joined.member_id not in bench.consumers.members


def test_a_classic_member_that_does_not_sync_is_fenced(bench: Any) -> None:
    bench.enter("m")
    asked = joins(bench, requires_member_id=True).result
    joined = joins(bench, asked.member_id).result
    for _ in range(12):
        bench.heartbeat(asked.member_id, joined.generation)
        bench.beat("m", 1)
        bench.advance(5_000)
    assert asked.member_id not in bench.consumers.members


def test_a_static_member_changes_its_protocol_in_place(bench: Any) -> None:
    """The rolling upgrade of a group of one static member: classic to consumer and back, with its partitions."""
    (old,) = classic_group(bench, size=1, group_instance_id="one")
    new = bench.enter("n", instance_id="one")
    assert (new.error, bench.parts(new)) == (ErrorCode.NONE, {0, 1, 2, 3})
    assert list(bench.consumers.members) == ["n"]
    assert bench.heartbeat(old.member_id, old.generation, "one") is ErrorCode.FENCED_INSTANCE_ID

    back = joins(bench, group_instance_id="one").result
    group = bench.group
    assert (back.error, group.state) == (ErrorCode.NONE, GroupState.STABLE)
    assert list(group.members) == [back.member_id]
    synced = bench.sync(back, group_instance_id="one", generation=group.generation).result
    assert (synced.error, parts(synced.assignment)) == (ErrorCode.NONE, {0, 1, 2, 3})
    stored = [r for r in bench.log if isinstance(r, GroupStored)][-1]
    assert [m.member_id for m in stored.members] == [back.member_id]
    assert bench.restarted().group.members[back.member_id].assignment == synced.assignment


def test_a_static_classic_member_keeps_its_place_in_a_consumer_group(bench: Any) -> None:
    bench.enter("m")
    first = joins(bench, group_instance_id="one").result
    second = joins(bench, group_instance_id="one").result
    assert (second.error, second.generation) == (ErrorCode.NONE, first.generation)
    assert first.member_id not in bench.consumers.members
    assert bench.heartbeat(first.member_id, first.generation, "one") is ErrorCode.FENCED_INSTANCE_ID
    refused = joins(bench, first.member_id, group_instance_id="one").result
    assert refused.error is ErrorCode.FENCED_INSTANCE_ID
