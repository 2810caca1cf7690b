"""Groups: who may commit, and when a partition changes hands."""

from __future__ import annotations

import asyncio

import pytest
from served_transports import (
    IMPATIENT,
    PARTITION,
    check_a_member_that_does_not_fetch,
    check_a_silent_member,
    check_letting_go,
    check_waiting,
    check_what_members_keep,
    joined,
    silence,
)

from mainstem.api.transport import Committed, NotMember, TransportError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import numbers, until, values, write

pytestmark = pytest.mark.conformance


async def test_a_member_that_is_silent_is_put_out_and_cannot_commit(server, opened):
    await check_a_silent_member(opened, server.address)


async def test_a_member_that_does_not_fetch_is_put_out(server, opened):
    await check_a_member_that_does_not_fetch(opened, server.address)


async def test_a_partition_is_not_read_by_its_next_owner_before_the_last_has_let_it_go(server, opened):
    await check_letting_go(opened, server.address)


async def test_who_had_a_partition_keeps_it_when_members_come_and_go(server, opened):
    await check_what_members_keep(opened, server.address, leaves=1)


async def test_a_fetch_that_waits_gets_what_is_written_meanwhile(server, opened):
    await check_waiting(await opened(server.address))


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
    session_ms = 600
    transports = [await opened(server.address, session_timeout_ms=session_ms) for _ in range(2)]
    await transports[0].create_topic("in", 2, {})
    members = [await joined(transport) for transport in transports]
    await until(lambda: all(len(hears.assigned_now) == 1 for _, hears in members), *(member for member, _ in members))
    server.kill()
    await asyncio.sleep(2 * session_ms / 1000)
    server.start()
    for number in range(2):
        await write(transports[0], TopicPartition("in", number), numbers(0, 1))
    for member, _ in members:
        assert await values(member, 1) == [b"0"]
        await member.close()
    assert all("lost" not in hears.heard for _, hears in members)
