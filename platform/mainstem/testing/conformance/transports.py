"""The contract of `api.transport`, tried on one transport.

    async def test_contract():
        await check_transport(open_transport, "prefix-of-topics")

What a transport says of itself (`traits`) decides what is tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from mainstem.api.batch import Batch
from mainstem.api.transport import Committed, Transport
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_groups import check_groups
from mainstem.testing.conformance.transport_steps import (
    FETCHES_MAX,
    MAX_WAIT_MS,
    Assignments,
    consumer,
    expect_error,
    numbers,
    read,
    topic,
    until_ends,
    values,
    write,
)
from mainstem.testing.conformance.transport_transactions import check_transactions

ODD = Batch(
    keys=[b"key", None, b"", b"\x00\xff", b"tombstone"],
    values=[b"value", b"no key", b"", bytes(range(256)), None],
    timestamps=[1_700_000_000_000, 1_700_000_000_005, 1_700_000_000_003, 1_600_000_000_000, 1_700_000_000_001],
    headers=[[("name", b"value"), ("name", b"again")], [], [("empty", b"")], [("null", None)], [("ünï", b"\xff")]],
)


async def check_transport(open_transport: Callable[[], Awaitable[Transport]], prefix: str) -> None:
    """`open_transport()` opens a transport to the same topics each time; topics and groups begin with `prefix`."""
    transport = await open_transport()
    await _check_topics(transport, prefix)
    await _check_records(transport, prefix)
    await _check_many(transport, prefix)
    await _check_readers_at_once(transport, prefix)
    await _check_commits(open_transport, transport, prefix)
    await _check_ends_and_pauses(transport, prefix)
    await _check_seeks(transport, prefix)
    await _check_latest(transport, prefix)
    await _check_times(transport, prefix)
    await _check_deleted_records(transport, prefix)
    await _check_group_offsets(transport, prefix)
    await _check_listener_errors(transport, prefix)
    if transport.traits.has_groups:
        await check_groups(transport, prefix)
    if transport.traits.transactions is not None:
        await check_transactions(open_transport, transport, prefix)
    await transport.close()


async def _check_topics(transport: Transport, prefix: str) -> None:
    topic = f"{prefix}-topics"
    assert await transport.partition_count(topic) is None, "a topic that does not exist has no partition count"
    assert await transport.partition_count(topic) is None, "asking for a topic must not create it"
    await transport.create_topic(topic, 3, {"cleanup.policy": "compact"})
    assert await transport.partition_count(topic) == 3
    await transport.create_topic(topic, 5, {})
    assert await transport.partition_count(topic) == 3, "creating an existing topic does nothing"
    ends = await transport.end_offsets(topic)
    assert dict(ends) == {TopicPartition(topic, number): (0, 0) for number in range(3)}
    await expect_error(transport.create_topic(f"{prefix}/slash", 1, {}), "create a topic with a name that is not legal")
    await expect_error(transport.end_offsets(f"{prefix}-nowhere"), "list the offsets of a topic that does not exist")


async def _check_records(transport: Transport, prefix: str) -> None:
    partition = await topic(transport, f"{prefix}-records")
    await write(transport, partition, ODD)
    await write(transport, partition, Batch(keys=[None], values=[b"plain"], timestamps=[1_700_000_000_009]))
    assert dict(await transport.end_offsets(partition.topic)) == {partition: (0, 6)}
    for offset in (0, 2, 5):
        got = await read(transport, partition, offset, count=6 - offset)
        assert got.keys == [*ODD.keys, None][offset:]
        assert got.values == [*ODD.values, b"plain"][offset:]
        assert got.timestamps == [*ODD.timestamps, 1_700_000_000_009][offset:]
        assert got.headers is not None or offset == 5, "headers were lost"
        expected = [[tuple(pair) for pair in pairs] for pairs in [*(ODD.headers or []), ()][offset:]]
        assert [[tuple(pair) for pair in pairs] for pairs in got.headers or [()]] == expected
    end = await transport.read(partition, 6, max_records=10, max_wait_ms=0)
    assert (len(end.batch), end.next_offset) == (0, 6), "reading at the end returns nothing"


async def _check_many(transport: Transport, prefix: str) -> None:
    """More than one record batch and more than one fetch; order is kept within a partition."""
    partition = await topic(transport, f"{prefix}-many")
    size, value = 4_000, b"x" * 700
    producer = transport.producer()
    for first in range(0, size, 1_000):
        numbers = range(first, first + 1_000)
        await producer.produce(
            partition,
            Batch(
                keys=[b"%d" % number for number in numbers],
                values=[value] * 1_000,
                timestamps=[1_700_000_000_000 + number for number in numbers],
            ),
        )
    await producer.flush()
    await producer.close()
    got = await read(transport, partition, 0, count=size)
    assert got.keys == [b"%d" % number for number in range(size)], "records came in another order, or not all"
    assert got.headers is None, "records without headers have a column None"


async def _check_readers_at_once(transport: Transport, prefix: str) -> None:
    """Each gets what is in its own partition, also if some of them wait at the end meanwhile."""
    topic = f"{prefix}-readers"
    await transport.create_topic(topic, 4, {})
    partitions = [TopicPartition(topic, number) for number in range(4)]
    for partition in partitions[:3]:
        await write(transport, partition, numbers(partition.partition * 1_000, partition.partition * 1_000 + 200))

    async def read_all(partition: TopicPartition) -> list[bytes | None]:
        got: list[bytes | None] = []
        offset = 0
        for _ in range(FETCHES_MAX):
            one = await transport.read(partition, offset, max_records=30, max_wait_ms=MAX_WAIT_MS)
            assert one.partition == partition
            got += one.batch.values
            offset = one.next_offset
            if len(got) >= 200 or (not one.batch.values and partition is partitions[3]):
                break
        return got

    found = await asyncio.gather(*map(read_all, partitions))
    for partition, got in zip(partitions[:3], found[:3], strict=True):
        first = partition.partition * 1_000
        assert got == [b"%d" % number for number in range(first, first + 200)], f"{partition} was read wrong"
    assert found[3] == []


async def _check_commits(open_transport: Callable[[], Awaitable[Transport]], transport: Transport, prefix: str) -> None:
    partition = await topic(transport, f"{prefix}-commits")
    await write(transport, partition, numbers(0, 10))
    async with consumer(transport, prefix, "commits") as (member, _):
        assert await values(member, 10) == numbers(0, 10).values, "a new group starts at the beginning"
        await member.commit({partition: Committed(4)})
    other = await open_transport()
    async with consumer(other, prefix, "commits") as (member, _):
        assert await values(member, 6) == numbers(4, 10).values, "another process continues at the committed offset"
    async with consumer(other, prefix, "commits") as (member, _):
        assert await values(member, 6) == numbers(4, 10).values, "closing commits nothing"
    await other.close()


async def _check_ends_and_pauses(transport: Transport, prefix: str) -> None:
    topic = f"{prefix}-ends"
    await transport.create_topic(topic, 2, {})
    one, two = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await write(transport, one, numbers(0, 3))
    async with consumer(transport, prefix, "ends") as (member, _):
        ends = await until_ends(member, {one, two})
        assert ends == {one: 3, two: 0}, "reaching the end of a partition is said, also of an empty one"
        member.pause([one])
        await write(transport, one, numbers(3, 5))
        await write(transport, two, numbers(5, 6))
        assert await values(member, 1) == [b"5"], "a paused partition is not read"
        member.resume([one])
        assert await values(member, 2) == [b"3", b"4"], "a resumed partition is read on where it was"


async def _check_latest(transport: Transport, prefix: str) -> None:
    partition = await topic(transport, f"{prefix}-latest")
    await write(transport, partition, numbers(0, 3))
    member = transport.consumer(f"{prefix}-latest", from_latest=True)
    await member.subscribe([partition.topic], Assignments())
    await until_ends(member, {partition})
    await write(transport, partition, numbers(3, 5))
    assert await values(member, 2) == [b"3", b"4"], "from_latest skips what is there"
    await member.close()


async def _check_listener_errors(transport: Transport, prefix: str) -> None:
    class RefusalError(Exception):
        pass

    class Refusing(Assignments):
        async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
            raise RefusalError

    partition = await topic(transport, f"{prefix}-refused")
    member = transport.consumer(f"{prefix}-refused")
    await member.subscribe([partition.topic], Refusing())
    raised = False
    for _ in range(FETCHES_MAX):
        try:
            await member.fetch(max_records=1, max_wait_ms=MAX_WAIT_MS)
        except RefusalError:
            raised = True
            break
    await member.close()
    assert raised, "what the listener raises comes out of fetch"


async def _check_seeks(transport: Transport, prefix: str) -> None:
    """Where a member seeks to while it is told of a partition is where reading begins; later it moves."""
    partition = await topic(transport, f"{prefix}-seeks")
    await write(transport, partition, numbers(0, 10))
    async with consumer(transport, prefix, "seeks") as (member, hears):

        async def begin(partitions: Sequence[TopicPartition]) -> None:
            if partition in partitions:
                assert dict(await member.committed(partitions)) == {}, "nothing was committed yet"
                await member.seek({partition: 7})
                member.pause([partition])
                member.resume([partition])

        hears.on_assigned = begin
        assert await values(member, 3) == numbers(7, 10).values, "reading begins where `assigned` sought to"
        await member.seek({partition: 2})
        assert await values(member, 8) == numbers(2, 10).values, "a member that seeks reads on from there"
        await member.seek({partition: 9})
        assert await until_ends(member, {partition}) == {partition: 10}, "the end is told again after a seek"


async def _check_times(transport: Transport, prefix: str) -> None:
    partition = await topic(transport, f"{prefix}-times")
    await write(transport, partition, numbers(0, 10))
    first = numbers(4, 5).timestamps[0]
    assert dict(await transport.offsets_for_time(partition.topic, first)) == {partition: 4}
    assert dict(await transport.offsets_for_time(partition.topic, first + 10**6)) == {partition: 10}, "later is the end"


async def _check_deleted_records(transport: Transport, prefix: str) -> None:
    partition = await topic(transport, f"{prefix}-deleted")
    await write(transport, partition, numbers(0, 6))
    await write(transport, partition, numbers(6, 10))
    await transport.delete_records({partition: 6})
    start, end = (await transport.end_offsets(partition.topic))[partition]
    assert 0 <= start <= 6, "nothing is deleted that was not said to be"
    assert end == 10
    assert (await read(transport, partition, 6, count=4)).values == numbers(6, 10).values, (
        "what was not deleted is there"
    )
    await transport.delete_records({partition: 3})
    await transport.delete_records({partition: 10})
    await write(transport, partition, numbers(10, 12))
    assert (await read(transport, partition, 10, count=2)).values == numbers(10, 12).values, "offsets go on"
    async with consumer(transport, prefix, "deleted") as (member, _):
        found = await values(member, 2)
        assert found[-2:] == numbers(10, 12).values, "a new group begins with what is there"
    await expect_error(transport.delete_records({partition: 13}), "delete records that do not exist")
    nowhere = TopicPartition(f"{prefix}-nowhere", 0)
    await expect_error(transport.delete_records({nowhere: 1}), "delete records of a topic that does not exist")


async def _check_group_offsets(transport: Transport, prefix: str) -> None:
    partition = await topic(transport, f"{prefix}-moved")
    await write(transport, partition, numbers(0, 10))
    group = f"{prefix}-moved"
    assert dict(await transport.group_offsets(f"{prefix}-nobody")) == {}, "nobody knows this group"
    async with consumer(transport, prefix, "moved") as (member, _):
        await values(member, 10)
        await member.commit({partition: Committed(10, "as it was")})
        assert dict(await member.committed([partition])) == {partition: Committed(10, "as it was")}
    assert dict(await transport.group_offsets(group)) == {partition: 10}
    await transport.set_group_offsets(group, {partition: 6})
    async with consumer(transport, prefix, "moved") as (member, _):
        assert await values(member, 4) == numbers(6, 10).values, "a group goes on where it was moved to"
    await transport.delete_topic(partition.topic)
    await transport.delete_topic(partition.topic)
    for _ in range(FETCHES_MAX):
        if await transport.partition_count(partition.topic) is None:
            return
    raise AssertionError("a topic that was deleted is gone")
