"""Groups: who may commit, and when a partition changes hands."""

from __future__ import annotations

import asyncio

import pytest

from mainstem.api.transport import Committed, NotMember, TransportError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import Assignments, numbers, until, values, write

pytestmark = pytest.mark.conformance

PARTITION = TopicPartition("in", 0)
IMPATIENT = {"session_timeout_ms": 300}


async def joined(transport, *topics, group="g"):
    member, hears = transport.consumer(group), Assignments()
    await member.subscribe(topics or ["in"], hears)
    return member, hears


def silence(member) -> None:
    """As if its process were stopped: nothing counts up for it any more."""
    member._beating.cancel()


async def test_a_member_that_is_silent_is_put_out_and_cannot_commit(server, opened):
    transport = await opened(server.address, **IMPATIENT)
    await transport.create_topic("in", 1, {})
    await write(transport, PARTITION, numbers(0, 3))
    sleeper, hears_sleeper = await joined(transport)
    await values(sleeper, 3)
    silence(sleeper)
    other, hears_other = await joined(transport)
    assert await values(other, 3) == numbers(0, 3).values
    assert hears_other.assigned_now == [PARTITION]
    with pytest.raises(NotMember, match="group g: in-0 belong to another member"):
        await sleeper.commit({PARTITION: Committed(3)})
    await until(lambda: "lost" in hears_sleeper.heard, sleeper, other)
    await sleeper.close()
    await other.close()


async def test_a_member_that_does_not_fetch_is_put_out(server, opened):
    transport = await opened(server.address, **IMPATIENT, max_poll_interval_ms=100)
    await transport.create_topic("in", 1, {})
    sleeper, hears_sleeper = await joined(transport)
    await until(lambda: hears_sleeper.assigned_now == [PARTITION], sleeper)
    other, hears_other = await joined(transport)
    await until(lambda: hears_other.assigned_now == [PARTITION], other)
    await sleeper.close()
    await other.close()


async def test_a_partition_is_not_read_by_its_next_owner_before_the_last_has_let_it_go(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 2, {})
    first, hears_first = await joined(transport)
    await until(lambda: len(hears_first.assigned_now) == 2, first)
    second, hears_second = await joined(transport)
    letting_go = asyncio.Event()

    async def commit() -> None:
        await second.fetch(max_records=1, max_wait_ms=0)
        assert hears_second.assigned_now == []
        await first.commit({partition: Committed(0, "left") for partition in hears_first.assigned_now})
        letting_go.set()

    hears_first.on_revoked = commit
    await until(lambda: len(hears_second.assigned_now) == 1, first, second)
    assert letting_go.is_set()
    assert await second.committed(hears_second.assigned_now) == {hears_second.assigned_now[0]: Committed(0, "left")}
    await first.close()
    await second.close()


async def test_who_had_a_partition_keeps_it_when_members_come_and_go(server, opened):
    transport = await opened(server.address)
    names = ["a", "b"]
    for name in names:
        await transport.create_topic(name, 6, {})
    members = [await joined(transport, *names) for _ in range(3)]

    def shares() -> list[int]:
        return [len(hears.assigned_now) for _, hears in members]

    await until(lambda: shares() == [4, 4, 4], *(member for member, _ in members))
    before = [set(hears.assigned_now) for _, hears in members]
    gone, _ = members.pop(1)
    before.pop(1)
    await gone.close()
    await until(lambda: shares() == [6, 6], *(member for member, _ in members))
    assert all(old <= set(hears.assigned_now) for old, (_, hears) in zip(before, members, strict=True))
    for member, hears in members:
        numbers_of = [sorted(one.partition for one in hears.assigned_now if one.topic == name) for name in names]
        assert numbers_of[0] == numbers_of[1], "partners stay together"
        await member.close()


async def test_a_fetch_that_waits_gets_what_is_written_meanwhile(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    member, _ = await joined(transport)
    [end] = await member.fetch(max_records=10, max_wait_ms=0)
    assert (end.next_offset, end.end_offset) == (0, 0)
    waiting = asyncio.ensure_future(member.fetch(max_records=10, max_wait_ms=60_000))
    reading = asyncio.ensure_future(transport.read(PARTITION, 0, max_records=10, max_wait_ms=60_000))
    await asyncio.sleep(0)
    await write(transport, PARTITION, numbers(0, 2))
    [one] = await waiting
    assert one.batch.values == (await reading).batch.values == [b"0", b"1"]
    await member.close()


async def test_a_group_is_moved_only_without_members_and_to_partitions_that_are_there(server, opened):
    transport = await opened(server.address, **IMPATIENT)
    await transport.create_topic("in", 1, {})
    member, _ = await joined(transport)
    with pytest.raises(TransportError, match="group g has members; stop them first"):
        await transport.set_group_offsets("g", {PARTITION: 0})
    silence(member)
    await transport.set_group_offsets("g", {PARTITION: 5})
    assert await transport.group_offsets("g") == {PARTITION: 5}, "whoever was killed does not count"
    with pytest.raises(TransportError, match="in-7 has no offset 0"):
        await transport.set_group_offsets("g", {TopicPartition("in", 7): 0})
    with pytest.raises(TransportError, match="in-0 has no offset -1"):
        await transport.set_group_offsets("g", {PARTITION: -1})
    await member.close()


async def test_a_commit_is_stored_as_a_whole_or_not_at_all(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    await transport.create_topic("other", 1, {})
    member, hears = await joined(transport)
    await until(lambda: hears.assigned_now == [PARTITION], member)
    with pytest.raises(NotMember, match="group g: other-0 belong to another member"):
        await member.commit({PARTITION: Committed(0), TopicPartition("other", 0): Committed(0)})
    with pytest.raises(TransportError, match="metadata of in-0 has more than 4096 bytes"):
        await member.commit({PARTITION: Committed(0, "x" * 4_097)})
    assert await transport.group_offsets("g") == {}
    await member.close()


async def test_members_that_could_not_reach_the_server_do_not_put_each_other_out(opened, tmp_path, nats):
    """The server is away for longer than a session: when it is back, everybody's life signs are old."""
    server = nats(tmp_path)
    transports = [await opened(server.address, session_timeout_ms=600) for _ in range(2)]
    await transports[0].create_topic("in", 2, {})
    members = [await joined(transport) for transport in transports]
    await until(lambda: all(len(hears.assigned_now) == 1 for _, hears in members), *(member for member, _ in members))
    server.kill()
    await asyncio.sleep(1.2)
    server.start()
    for number in range(2):
        await write(transports[0], TopicPartition("in", number), numbers(0, 1))
    for member, _ in members:
        assert await values(member, 1) == [b"0"]
        await member.close()
    assert all("lost" not in hears.heard for _, hears in members)
