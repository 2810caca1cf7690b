"""What holds beyond the contract for transports that keep groups of their own, most of them in another project's server.

`opened(address, setting=...)` opens a transport; all of one test see the same topics.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from killed_workers import PARTITIONS, TransportCarrier, check_totals
from server_process import ServerProcess

from mainstem.api.context import PluginContext
from mainstem.api.spec import configure
from mainstem.api.transport import Committed, NotMember, Transport, TransportConsumer, TransportSpec
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.context import plugin_context
from mainstem.testing.conformance.transport_steps import Assignments, numbers, read, until, values, write

Opening = Callable[..., Awaitable[Transport]]

PARTITION = TopicPartition("in", 0)
IMPATIENT = {"session_timeout_ms": 300}


def prefixed() -> dict[str, str]:
    """A prefix that no other test has."""
    return {"prefix": f"t{uuid.uuid4().hex[:10]}"}


@asynccontextmanager
async def opening(spec: TransportSpec, context: PluginContext) -> AsyncIterator[Opening]:
    """Everything that is opened is closed at the end."""
    made: list[Transport] = []
    own = prefixed()

    async def opened(address: str, **options: Any) -> Transport:
        config = configure(spec.config, {**own, **options}, owner=f"transport {spec.name}")
        transport = spec.open(config, context, address, None)
        await transport.open()
        made.append(transport)
        return transport

    try:
        yield opened
    finally:
        for transport in made:
            await transport.close()


async def joined(transport: Transport, *topics: str, group: str = "g") -> tuple[TransportConsumer, Assignments]:
    member, hears = transport.consumer(group), Assignments()
    await member.subscribe(topics or ["in"], hears)
    return member, hears


def silence(member: Any) -> None:
    """As if its process were stopped: nobody hears of it any more."""
    member._beating.cancel()


async def check_a_silent_member(
    opened: Opening, address: str, *, refused: Callable[[Transport, TransportConsumer], Awaitable[None]] | None = None
) -> None:
    """`refused(transport, sleeper)`: what else it cannot do when it was put out."""
    transport = await opened(address, **IMPATIENT)
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
    if refused is not None:
        await refused(transport, sleeper)
    await until(lambda: "lost" in hears_sleeper.heard, sleeper, other)
    await sleeper.close()
    await other.close()


async def check_a_member_that_does_not_fetch(opened: Opening, address: str) -> None:
    transport = await opened(address, **IMPATIENT, max_poll_interval_ms=100)
    await transport.create_topic("in", 1, {})
    sleeper, hears_sleeper = await joined(transport)
    await until(lambda: hears_sleeper.assigned_now == [PARTITION], sleeper)
    other, hears_other = await joined(transport)
    await until(lambda: hears_other.assigned_now == [PARTITION], other)
    await sleeper.close()
    await other.close()


async def check_letting_go(opened: Opening, address: str) -> None:
    """A partition is not read by its next owner before the last has let it go."""
    transport = await opened(address)
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


async def check_what_members_keep(opened: Opening, address: str, *, leaves: int) -> None:
    """Who had a partition keeps it when members come and go. `leaves`: which of three does."""
    transport = await opened(address)
    names = ["a", "b"]
    for name in names:
        await transport.create_topic(name, 6, {})
    members = [await joined(transport, *names) for _ in range(3)]

    def shares() -> list[int]:
        return [len(hears.assigned_now) for _, hears in members]

    await until(lambda: shares() == [4, 4, 4], *(member for member, _ in members))
    before = [set(hears.assigned_now) for _, hears in members]
    gone, _ = members.pop(leaves)
    before.pop(leaves)
    await gone.close()
    await until(lambda: shares() == [6, 6], *(member for member, _ in members))
    assert all(old <= set(hears.assigned_now) for old, (_, hears) in zip(before, members, strict=True))
    assert all("revoked" not in hears.heard[-1:] for _, hears in members)
    for member, hears in members:
        numbers_of = [sorted(one.partition for one in hears.assigned_now if one.topic == name) for name in names]
        assert numbers_of[0] == numbers_of[1], "partners stay together"
        await member.close()


async def check_waiting(transport: Transport) -> None:
    """A fetch that waits gets what is written meanwhile."""
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


async def check_killed_server(transport: Transport, server: ServerProcess) -> None:
    """What was acknowledged is there once after a server was killed, records and offsets."""
    await transport.create_topic("in", 1, {})
    producer = transport.producer()
    member = transport.consumer("g")
    await member.subscribe(["in"], Assignments())
    is_enough = asyncio.Event()

    async def produce() -> int:
        number = 0
        while not is_enough.is_set():
            assert await producer.append(PARTITION, numbers(number, number + 1)) == [number]
            number += 1
        return number

    producing = asyncio.create_task(produce())
    for _ in range(3):
        assert len(await values(member, 1)) >= 1
        server.kill()
        server.start()
    assert len(await values(member, 1)) >= 1
    is_enough.set()
    end = await producing
    await producer.close()
    assert (await read(transport, PARTITION, 0, count=end)).values == numbers(0, end).values
    while not await member.committed([PARTITION]):
        await member.fetch(max_records=100, max_wait_ms=50)
        await member.commit({PARTITION: Committed(end)})
    server.kill()
    server.start()
    assert dict(await transport.group_offsets("g")) == {PARTITION: end}
    await member.close()


def check_killed_workers(folder: Path, spec: TransportSpec, address: str, *, exactly_once: bool) -> None:
    own = prefixed()
    options: Sequence[str] = ["--broker", f"{spec.name}://{address}?prefix={own['prefix']}&session_timeout_ms=1000"]
    with plugin_context() as context, asyncio.Runner() as runner:
        config = configure(spec.config, own, owner=f"transport {spec.name}")
        transport = spec.open(config, context, address, None)
        runner.run(transport.open())
        try:
            runner.run(transport.create_topic("orders", PARTITIONS, {}))
            carrier = TransportCarrier(runner, transport)
            check_totals(folder, carrier, name="totals", topic="orders", options=options, exactly_once=exactly_once)
        finally:
            runner.run(transport.close())
