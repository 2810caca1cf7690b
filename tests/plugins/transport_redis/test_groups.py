"""Groups and transactions: who may commit, and when a partition changes hands."""

from __future__ import annotations

import asyncio

import pytest
from redis import asyncio as aio

from mainstem.api.transport import Committed, Fenced, NotMember, TransportError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import Assignments, numbers, read, until, values, write

pytestmark = pytest.mark.conformance

PARTITION = TopicPartition("in", 0)
IMPATIENT = {"session_timeout_ms": 300}


async def joined(transport, *topics, group="g"):
    member, hears = transport.consumer(group), Assignments()
    await member.subscribe(topics or ["in"], hears)
    return member, hears


def silence(member) -> None:
    """As if its process were stopped: nothing renews the lease any more."""
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
    transactions = transport.transactional_producer("t")
    await transactions.open()
    await transactions.begin()
    await transactions.produce(PARTITION, numbers(3, 4))
    with pytest.raises(NotMember, match="in-0 belong to another member"):
        await transactions.commit({PARTITION: Committed(3)}, sleeper)
    await transactions.abort()
    assert await transport.end_offsets("in") == {PARTITION: (0, 3)}, "a transaction is refused as a whole"
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
    gone, _ = members.pop()
    await gone.close()
    await until(lambda: shares() == [6, 6], *(member for member, _ in members))
    assert all(old <= set(hears.assigned_now) for old, (_, hears) in zip(before, members, strict=False))
    assert all("revoked" not in hears.heard[-1:] for _, hears in members)
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


async def test_redis_shows_the_position_of_a_group(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    await write(transport, PARTITION, numbers(0, 5))
    member, _ = await joined(transport)
    await values(member, 5)
    for offset in (3, 5):
        await member.commit({PARTITION: Committed(offset)})
        async with aio.Redis(port=server.port) as redis:
            [shown] = await redis.xinfo_groups(f"{transport._client.base}stream:in:0")
        assert (shown["name"], shown["last-delivered-id"]) == (b"g", b"%d-0" % offset)
    await member.close()


async def test_a_group_is_moved_only_without_members_and_to_partitions_that_are_there(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    member, _ = await joined(transport)
    with pytest.raises(TransportError, match="group g has members; stop them first"):
        await transport.set_group_offsets("g", {PARTITION: 0})
    await member.close()
    with pytest.raises(TransportError, match="in-7 does not exist"):
        await transport.set_group_offsets("g", {TopicPartition("in", 7): 0})
    with pytest.raises(TransportError, match="offset -1 is negative"):
        await transport.set_group_offsets("g", {PARTITION: -1})


async def test_a_commit_that_arrives_after_its_abort_is_refused(server, opened):
    """The commit is given up because nobody answers; the abort gets through; then the commit arrives after all."""
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    member, _ = await joined(transport)
    transactions = transport.transactional_producer("t")
    await transactions.open()
    await transactions.begin()
    await transactions.produce(PARTITION, numbers(0, 2))
    owner, epoch, pending = transactions._owner, transactions._epoch, transactions._pending.take()
    await transactions.abort()
    arguments = [owner, epoch, 1, *member.group.commit_arguments({}, with_count=True)]
    assert await transport._appends.run("transact", transactions._key, arguments, pending) == [b"fenced"]
    await transactions.begin()
    await transactions.produce(PARTITION, numbers(2, 3))
    await transactions.commit({}, member)
    assert (await read(transport, PARTITION, 0, count=1)).values == [b"2"]
    await member.close()


async def test_a_call_whose_answer_was_lost_is_answered_again_and_done_once(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    member, _ = await joined(transport)
    await until(lambda: bool(member._owned), member)
    transactions = transport.transactional_producer("t")
    await transactions.open()
    await transactions.begin()
    await transactions.produce(PARTITION, numbers(0, 2))
    pending = transactions._pending.take()
    offsets = {PARTITION: Committed(0, "a text")}
    commit = [
        transactions._owner, transactions._epoch, 1, *member.group.commit_arguments(offsets, with_count=True),
    ]  # fmt: skip
    for script, key, arguments, end in (
        ("transact", transactions._key, commit, 2),
        ("append", f"{transport._client.base}producer:x", [1, 60_000], 4),
        ("append", f"{transport._client.base}producer:x", [2, 60_000], 6),
    ):
        for _ in range(3):
            assert await transport._appends.run(script, key, arguments, pending) == [b"ok", end, 0]
    assert await transport.end_offsets("in") == {PARTITION: (0, 6)}
    await member.close()


async def test_a_transaction_that_is_too_large_is_refused(server, opened):
    transport = await opened(server.address, transaction_bytes=2_000)
    await transport.create_topic("in", 1, {})
    transactions = transport.transactional_producer("t")
    await transactions.open()
    await transactions.begin()
    with pytest.raises(TransportError, match=r"more than 2000 bytes: commit more often, or raise transaction_bytes"):
        await transactions.produce(PARTITION, numbers(0, 100))
    await transactions.abort()


async def test_an_owner_hears_with_an_abort_that_it_is_fenced(server, opened):
    transport = await opened(server.address)
    old, new = transport.transactional_producer("t"), transport.transactional_producer("t")
    await old.open()
    await new.open()
    with pytest.raises(Fenced, match="another producer uses transactional id t"):
        await old.abort()


async def test_a_commit_with_a_text_that_is_too_long_is_refused(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    member, _ = await joined(transport)
    with pytest.raises(TransportError, match="metadata of in-0 has more than 4096 bytes"):
        await member.commit({PARTITION: Committed(0, "x" * 4_097)})
    await member.close()
