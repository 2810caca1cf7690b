"""Transactions: all or nothing, offsets among it, and one owner of each transactional id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mainstem.api.batch import Batch
from mainstem.api.transport import Committed, Fenced, Transport
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import consumer, numbers, read, topic, until_ends, values, write


async def check_transactions(
    open_transport: Callable[[], Awaitable[Transport]], transport: Transport, prefix: str
) -> None:
    await _check_commit_and_abort(transport, prefix)
    await _check_many(transport, prefix)
    await _check_fencing(open_transport, transport, prefix)


async def _check_commit_and_abort(transport: Transport, prefix: str) -> None:
    source, out = await topic(transport, f"{prefix}-txn"), await topic(transport, f"{prefix}-txn-out")
    await write(transport, source, numbers(0, 4))
    producer = transport.transactional_producer(f"{prefix}-txn")
    await producer.open()
    async with consumer(transport, prefix, "txn") as (member, _):
        await values(member, 4)
        await producer.begin()
        await producer.produce(out, numbers(0, 2))
        await producer.flush()
        assert await _seen(transport, out) == 0, "nothing of an open transaction is read"
        await producer.abort()
        await producer.begin()
        await producer.produce(out, numbers(2, 5))
        await producer.commit({source: Committed(3, "text")}, member)
        assert (await read(transport, out, 0, count=3, is_dense=False)).values == [b"2", b"3", b"4"], (
            "only what was committed is read"
        )
        assert dict(await member.committed([source])) == {source: Committed(3, "text")}, "offsets commit with it"
        await producer.begin()
        await producer.commit({source: Committed(4)}, member)
        assert dict(await member.committed([source])) == {source: Committed(4)}, "offsets alone are a transaction too"
    await producer.close()
    async with consumer(transport, prefix, "txn-out") as (reader, _):
        ends = await until_ends(reader, {out})
        assert ends[out] >= 3, "the end is told behind an aborted transaction too"
    async with consumer(transport, prefix, "txn-out") as (reader, _):
        assert await values(reader, 3) == [b"2", b"3", b"4"], "members of groups see what was committed"


async def _check_many(transport: Transport, prefix: str) -> None:
    """Several partitions and more than one batch each."""
    name = f"{prefix}-txn-many"
    await transport.create_topic(name, 2, {})
    producer = transport.transactional_producer(f"{prefix}-txn-many")
    await producer.open()
    async with consumer(transport, prefix, "txn-many") as (member, _):
        for first in (0, 600, 1200):
            await producer.begin()
            for number in range(2):
                for start in range(first, first + 600, 200):
                    await producer.produce(TopicPartition(name, number), numbers(start, start + 200))
            await producer.commit({}, member)
        for first in range(1800, 1840):  # one right after the other
            await producer.begin()
            await producer.produce(TopicPartition(name, 0), numbers(first, first + 1))
            await producer.produce(TopicPartition(name, 1), numbers(first, first + 1))
            await producer.commit({}, member)
    await producer.close()
    for number in range(2):
        got = await read(transport, TopicPartition(name, number), 0, count=1840, is_dense=False)
        assert got.values == numbers(0, 1840).values, "records keep their order"


async def _check_fencing(open_transport: Callable[[], Awaitable[Transport]], transport: Transport, prefix: str) -> None:
    out = await topic(transport, f"{prefix}-txn-fenced")
    old = transport.transactional_producer(f"{prefix}-txn-fenced")
    await old.open()
    await old.begin()
    await old.produce(out, numbers(0, 2))
    await old.flush()
    other = await open_transport()
    new = other.transactional_producer(f"{prefix}-txn-fenced")
    await new.open()
    async with consumer(other, prefix, "txn-fenced") as (member, _):
        is_fenced = False
        try:
            async with consumer(transport, prefix, "txn-fenced-old", topics=[out.topic]) as (mine, _):
                await old.produce(out, numbers(2, 3))
                await old.commit({}, mine)
        except Fenced:
            is_fenced = True
        assert is_fenced, "whoever lost a transactional id can commit nothing"
        await new.begin()
        await new.produce(out, numbers(7, 8))
        await new.commit({}, member)
    assert (await read(other, out, 0, count=1, is_dense=False)).values == [b"7"], (
        "what the old owner left open was aborted"
    )
    await new.close()
    await old.close()
    await other.close()


async def _seen(transport: Transport, partition: TopicPartition) -> int:
    fetched = await transport.read(partition, 0, max_records=100, max_wait_ms=0)
    batch: Batch = fetched.batch
    return len(batch)
