"""What the checks of transports are written with: producing, reading, members that write down what they hear."""

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


@dataclass(slots=True)
class Assignments:
    """A listener that writes down what it hears."""

    assigned_now: list[TopicPartition] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    on_assigned: Callable[[Sequence[TopicPartition]], Awaitable[None]] | None = None
    on_revoked: Callable[[], Awaitable[None]] | None = None

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        assert not set(partitions) & set(self.assigned_now), "what is assigned already is not assigned again"
        self.heard.append("assigned")
        self.assigned_now = [*self.assigned_now, *partitions]
        if self.on_assigned is not None:
            await self.on_assigned(partitions)

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        assert set(partitions) <= set(self.assigned_now), "only what is assigned is revoked"
        self.heard.append("revoked")
        if self.on_revoked is not None:
            await self.on_revoked()
        self.assigned_now = [one for one in self.assigned_now if one not in partitions]

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append("lost")
        self.assigned_now = [one for one in self.assigned_now if one not in partitions]


@asynccontextmanager
async def consumer(
    transport: Transport, prefix: str, name: str, *, topics: Sequence[str] | None = None
) -> AsyncIterator[tuple[TransportConsumer, Assignments]]:
    member, listener = transport.consumer(f"{prefix}-{name}"), Assignments()
    try:
        await member.subscribe(topics or [f"{prefix}-{name}"], listener)
        yield member, listener
        heard = len(listener.heard)
    finally:
        # Also if the steps raised: an open client that the collector finds later ends in whatever thread it runs in.
        await member.close()
    assert len(listener.heard) == heard, "closing does not call the listener"


async def topic(transport: Transport, name: str) -> TopicPartition:
    await transport.create_topic(name, 1, {})
    return TopicPartition(name, 0)


def numbers(first: int, end: int) -> Batch:
    numbers = range(first, end)
    return Batch(
        keys=[None] * len(numbers),
        values=[b"%d" % number for number in numbers],
        timestamps=[1_700_000_000_000 + number for number in numbers],
    )


async def write(transport: Transport, partition: TopicPartition, batch: Batch) -> None:
    producer = transport.producer()
    await producer.produce(partition, batch)
    await producer.flush()
    await producer.close()


async def read(
    transport: Transport, partition: TopicPartition, offset: int, *, count: int, is_dense: bool = True
) -> Batch:
    """`count` records from `offset`, in as many reads as it takes."""
    got = Batch(keys=[], values=[], timestamps=[], headers=[])
    has_headers = False
    for _ in range(FETCHES_MAX):
        one = await transport.read(partition, offset, max_records=1_500, max_wait_ms=MAX_WAIT_MS)
        assert one.partition == partition
        assert one.offsets == sorted(set(one.offsets)), "offsets grow"
        assert one.next_offset > max(one.offsets, default=offset - 1), "what comes next is behind what was read"
        if is_dense and transport.traits.is_dense:
            assert one.offsets == list(range(offset, offset + len(one.batch))), "offsets follow each other"
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


async def fetch(consumer: TransportConsumer) -> Sequence[FetchedBatch]:
    fetched = await consumer.fetch(max_records=1_000, max_wait_ms=MAX_WAIT_MS)
    partitions = [one.partition for one in fetched]
    assert len(partitions) == len(set(partitions)), "one batch per partition and fetch"
    for one in fetched:
        assert len(one.offsets) == len(one.batch) == len(one.batch.keys) == len(one.batch.timestamps)
        assert one.next_offset <= one.end_offset, "the end is not before what comes next"
    return fetched


async def values(consumer: TransportConsumer, count: int) -> list[bytes | None]:
    """The next `count` values."""
    values: list[bytes | None] = []
    for _ in range(FETCHES_MAX):
        for one in await fetch(consumer):
            values += one.batch.values
        if len(values) >= count:
            return values
    raise AssertionError(f"{len(values)} records came instead of {count}: {values!r}")


async def until_ends(consumer: TransportConsumer, partitions: set[TopicPartition]) -> dict[TopicPartition, int]:
    ends: dict[TopicPartition, int] = {}
    for _ in range(FETCHES_MAX):
        for one in await fetch(consumer):
            if one.next_offset == one.end_offset:
                ends[one.partition] = one.end_offset
        if ends.keys() == partitions:
            return ends
    raise AssertionError(f"of {sorted(partitions)} only {sorted(ends)} said that their end was reached")


async def until(holds: Callable[[], bool], *consumers: TransportConsumer) -> None:
    """Let members fetch until the group has come to rest."""
    for _ in range(FETCHES_MAX):
        if holds():
            return
        await asyncio.gather(*(fetch(consumer) for consumer in consumers))
    raise AssertionError("the group did not come to rest")


async def expect_error(work: Awaitable[object], what: str) -> None:
    text = None
    try:
        await work
    except TransportError as error:
        text = str(error)
    assert text is not None, f"it must be a TransportError to {what}"
    assert text, "a TransportError needs a text"
