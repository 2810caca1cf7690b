"""The contract of `api.transport`, tried on one transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mainstem.api.batch import Batch
from mainstem.api.transport import FetchedBatch, Transport, TransportConsumer, TransportError
from mainstem.model.ids import TopicPartition

FETCHES_MAX = 200
MAX_WAIT_MS = 200
ODD = Batch(
    keys=[b"key", None, b"", b"\x00\xff", b"tombstone"],
    values=[b"value", b"no key", b"", bytes(range(256)), None],
    timestamps=[1_700_000_000_000, 1_700_000_000_005, 1_700_000_000_003, 1_600_000_000_000, 1_700_000_000_001],
    headers=[[("name", b"value"), ("name", b"again")], [], [("empty", b"")], [("null", None)], [("ünï", b"\xff")]],
)


@dataclass(slots=True)
class Assignments:
    """A listener that writes down what it hears."""

    assigned_now: list[TopicPartition] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    on_revoked: Callable[[], Awaitable[None]] | None = None

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        assert not self.assigned_now, "everything is revoked before a new set is assigned"
        self.heard.append("assigned")
        self.assigned_now = list(partitions)

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        assert sorted(partitions) == sorted(self.assigned_now), "everything is revoked at once"
        self.heard.append("revoked")
        if self.on_revoked is not None:
            await self.on_revoked()
        self.assigned_now = []

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append("lost")
        self.assigned_now = []


async def check_transport(open_transport: Callable[[], Awaitable[Transport]], prefix: str, *, has_groups: bool) -> None:
    """`open_transport()` opens a transport to the same topics each time; topics and groups begin with `prefix`.
    `has_groups`: several members of one group share its partitions."""
    transport = await open_transport()
    await _check_topics(transport, prefix)
    await _check_records(transport, prefix)
    await _check_many(transport, prefix)
    await _check_commits(open_transport, transport, prefix)
    await _check_ends_and_pauses(transport, prefix)
    await _check_latest(transport, prefix)
    await _check_listener_errors(transport, prefix)
    if has_groups:
        await _check_groups(transport, prefix)
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
    await _expect_error(
        transport.create_topic(f"{prefix}/slash", 1, {}), "create a topic with a name that is not legal"
    )
    await _expect_error(transport.end_offsets(f"{prefix}-nowhere"), "list the offsets of a topic that does not exist")


async def _check_records(transport: Transport, prefix: str) -> None:
    partition = await _topic(transport, f"{prefix}-records")
    await _write(transport, partition, ODD)
    await _write(transport, partition, Batch(keys=[None], values=[b"plain"], timestamps=[1_700_000_000_009]))
    assert dict(await transport.end_offsets(partition.topic)) == {partition: (0, 6)}
    for offset in (0, 2, 5):
        got = await _read(transport, partition, offset, count=6 - offset)
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
    partition = await _topic(transport, f"{prefix}-many")
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
    got = await _read(transport, partition, 0, count=size)
    assert got.keys == [b"%d" % number for number in range(size)], "records came in another order, or not all"
    assert got.headers is None, "records without headers have a column None"


async def _check_commits(open_transport: Callable[[], Awaitable[Transport]], transport: Transport, prefix: str) -> None:
    partition = await _topic(transport, f"{prefix}-commits")
    await _write(transport, partition, _numbers(0, 10))
    async with _consumer(transport, prefix, "commits") as (consumer, _):
        assert await _values(consumer, 10) == _numbers(0, 10).values, "a new group starts at the beginning"
        await consumer.commit({partition: 4})
    other = await open_transport()
    async with _consumer(other, prefix, "commits") as (consumer, _):
        assert await _values(consumer, 6) == _numbers(4, 10).values, "another process continues at the committed offset"
    async with _consumer(other, prefix, "commits") as (consumer, _):
        assert await _values(consumer, 6) == _numbers(4, 10).values, "closing commits nothing"
    await other.close()


async def _check_ends_and_pauses(transport: Transport, prefix: str) -> None:
    topic = f"{prefix}-ends"
    await transport.create_topic(topic, 2, {})
    one, two = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await _write(transport, one, _numbers(0, 3))
    async with _consumer(transport, prefix, "ends") as (consumer, _):
        ends = await _until_ends(consumer, {one, two})
        assert ends == {one: 3, two: 0}, "reaching the end of a partition is said, also of an empty one"
        consumer.pause([one])
        await _write(transport, one, _numbers(3, 5))
        await _write(transport, two, _numbers(5, 6))
        assert await _values(consumer, 1) == [b"5"], "a paused partition is not read"
        consumer.resume([one])
        assert await _values(consumer, 2) == [b"3", b"4"], "a resumed partition is read on where it was"


async def _check_latest(transport: Transport, prefix: str) -> None:
    partition = await _topic(transport, f"{prefix}-latest")
    await _write(transport, partition, _numbers(0, 3))
    consumer = transport.consumer(f"{prefix}-latest", from_latest=True)
    await consumer.subscribe([partition.topic], Assignments())
    await _until_ends(consumer, {partition})
    await _write(transport, partition, _numbers(3, 5))
    assert await _values(consumer, 2) == [b"3", b"4"], "from_latest skips what is there"
    await consumer.close()


async def _check_listener_errors(transport: Transport, prefix: str) -> None:
    class RefusalError(Exception):
        pass

    class Refusing(Assignments):
        async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
            raise RefusalError

    partition = await _topic(transport, f"{prefix}-refused")
    consumer = transport.consumer(f"{prefix}-refused")
    await consumer.subscribe([partition.topic], Refusing())
    raised = False
    for _ in range(FETCHES_MAX):
        try:
            await consumer.fetch(max_records=1, max_wait_ms=MAX_WAIT_MS)
        except RefusalError:
            raised = True
            break
    await consumer.close()
    assert raised, "what the listener raises comes out of fetch"


async def _check_groups(transport: Transport, prefix: str) -> None:
    topic = f"{prefix}-groups"
    await transport.create_topic(topic, 2, {})
    partitions = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    for partition in partitions:
        await _write(transport, partition, _numbers(0, 3))
    async with _consumer(transport, prefix, "groups") as (first, hears_first):
        await _values(first, 6)
        assert sorted(hears_first.assigned_now) == partitions, "a member alone gets everything"

        async def commit() -> None:
            await first.commit(dict.fromkeys(partitions, 3))

        hears_first.on_revoked = commit
        first.pause(partitions)  # which a new assignment forgets
        async with _consumer(transport, prefix, "groups") as (second, hears_second):
            await _until(lambda: bool(hears_second.assigned_now and hears_first.heard[-1] == "assigned"), first, second)
            shared = sorted([*hears_first.assigned_now, *hears_second.assigned_now])
            assert shared == partitions, "two members share the partitions"
            for partition in partitions:
                await _write(transport, partition, _numbers(3, 4))
            got = await _values(first, 1) + await _values(second, 1)
            assert got == [b"3", b"3"], "commits of `revoked` count: each reads what is new, once"
            hears_first.on_revoked = None
        await _until(lambda: len(hears_first.assigned_now) == 2, first)
        assert hears_first.heard == ["assigned", "revoked", "assigned", "revoked", "assigned"]


@asynccontextmanager
async def _consumer(
    transport: Transport, prefix: str, name: str
) -> AsyncIterator[tuple[TransportConsumer, Assignments]]:
    consumer, listener = transport.consumer(f"{prefix}-{name}"), Assignments()
    await consumer.subscribe([f"{prefix}-{name}"], listener)
    yield consumer, listener
    heard = len(listener.heard)
    await consumer.close()
    assert len(listener.heard) == heard, "closing does not call the listener"


async def _topic(transport: Transport, name: str) -> TopicPartition:
    await transport.create_topic(name, 1, {})
    return TopicPartition(name, 0)


def _numbers(first: int, end: int) -> Batch:
    numbers = range(first, end)
    return Batch(
        keys=[None] * len(numbers),
        values=[b"%d" % number for number in numbers],
        timestamps=[1_700_000_000_000 + number for number in numbers],
    )


async def _write(transport: Transport, partition: TopicPartition, batch: Batch) -> None:
    producer = transport.producer()
    await producer.produce(partition, batch)
    await producer.flush()
    await producer.close()


async def _read(transport: Transport, partition: TopicPartition, offset: int, *, count: int) -> Batch:
    """`count` records from `offset`, in as many reads as it takes."""
    got = Batch(keys=[], values=[], timestamps=[], headers=[])
    has_headers = False
    for _ in range(FETCHES_MAX):
        one = await transport.read(partition, offset, max_records=1_500, max_wait_ms=MAX_WAIT_MS)
        assert one.partition == partition
        assert one.offsets == list(range(offset, offset + len(one.batch))), "offsets follow each other"
        assert one.next_offset == offset + len(one.batch)
        has_headers = has_headers or one.batch.headers is not None
        assert got.headers is not None
        got.headers.extend(one.batch.headers if one.batch.headers is not None else [()] * len(one.batch))
        got.keys.extend(one.batch.keys)
        got.values.extend(one.batch.values)
        got.timestamps.extend(one.batch.timestamps)
        offset = one.next_offset
        if len(got) >= count:
            break
    got.headers = got.headers if has_headers else None
    return got


async def _fetch(consumer: TransportConsumer) -> Sequence[FetchedBatch]:
    fetched = await consumer.fetch(max_records=1_000, max_wait_ms=MAX_WAIT_MS)
    partitions = [one.partition for one in fetched]
    assert len(partitions) == len(set(partitions)), "one batch per partition and fetch"
    for one in fetched:
        assert len(one.offsets) == len(one.batch) == len(one.batch.keys) == len(one.batch.timestamps)
        assert one.next_offset <= one.end_offset, "the end is not before what comes next"
    return fetched


async def _values(consumer: TransportConsumer, count: int) -> list[bytes | None]:
    """The next `count` values."""
    values: list[bytes | None] = []
    for _ in range(FETCHES_MAX):
        for one in await _fetch(consumer):
            values += one.batch.values
        if len(values) >= count:
            return values
    raise AssertionError(f"{len(values)} records came instead of {count}: {values!r}")


async def _until_ends(consumer: TransportConsumer, partitions: set[TopicPartition]) -> dict[TopicPartition, int]:
    ends: dict[TopicPartition, int] = {}
    for _ in range(FETCHES_MAX):
        for one in await _fetch(consumer):
            if one.next_offset == one.end_offset:
                ends[one.partition] = one.end_offset
        if ends.keys() == partitions:
            return ends
    raise AssertionError(f"of {sorted(partitions)} only {sorted(ends)} said that their end was reached")


async def _until(holds: Callable[[], bool], *consumers: TransportConsumer) -> None:
    """Let members fetch until the group has come to rest."""
    for _ in range(FETCHES_MAX):
        if holds():
            return
        await asyncio.gather(*(_fetch(consumer) for consumer in consumers))
    raise AssertionError("the group did not come to rest")


async def _expect_error(work: Awaitable[object], what: str) -> None:
    text = None
    try:
        await work
    except TransportError as error:
        text = str(error)
    assert text is not None, f"it must be a TransportError to {what}"
    assert text, "a TransportError needs a text"
