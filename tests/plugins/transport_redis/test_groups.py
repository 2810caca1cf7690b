"""Groups and transactions: who may commit, and when a partition changes hands."""

from __future__ import annotations

import pytest
from redis import asyncio as aio
from served_transports import (
    PARTITION,
    check_a_member_that_does_not_fetch,
    check_a_silent_member,
    check_letting_go,
    check_waiting,
    check_what_members_keep,
    joined,
)

from mainstem.api.transport import Committed, Fenced, NotMember, TransportError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import numbers, read, until, values, write

pytestmark = pytest.mark.conformance


async def test_a_member_that_is_silent_is_put_out_and_cannot_commit(server, opened):
    async def commits_no_transaction(transport, sleeper) -> None:
        transactions = transport.transactional_producer("t")
        await transactions.open()
        await transactions.begin()
        await transactions.produce(PARTITION, numbers(3, 4))
        with pytest.raises(NotMember, match="in-0 belong to another member"):
            await transactions.commit({PARTITION: Committed(3)}, sleeper)
        await transactions.abort()
        assert await transport.end_offsets("in") == {PARTITION: (0, 3)}, "a transaction is refused as a whole"

    await check_a_silent_member(opened, server.address, refused=commits_no_transaction)


async def test_a_member_that_does_not_fetch_is_put_out(server, opened):
    await check_a_member_that_does_not_fetch(opened, server.address)


async def test_a_partition_is_not_read_by_its_next_owner_before_the_last_has_let_it_go(server, opened):
    await check_letting_go(opened, server.address)


async def test_who_had_a_partition_keeps_it_when_members_come_and_go(server, opened):
    await check_what_members_keep(opened, server.address, leaves=2)


async def test_a_fetch_that_waits_gets_what_is_written_meanwhile(server, opened):
    await check_waiting(await opened(server.address))


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
