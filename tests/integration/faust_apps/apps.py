"""Faust apps that run inside a test: started and stopped on its loop, with events that tests wait for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust

from mainstem.api.batch import Batch
from mainstem.api.transport import Transport
from mainstem.model.ids import TopicPartition

WAIT_S = 30.0


def new_app(broker: str, folder: Path, name: str = "shop", **settings: Any) -> faust.App:
    """Two partitions per topic, no web server, commits often."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, Any] = {
        "topic_partitions": 2,
        "web_enabled": False,
        "store": "memory://",
        "broker_commit_interval": 0.2,
        "datadir": str(folder / name),
        **settings,
    }
    return faust.App(name, broker=broker, **chosen)


@asynccontextmanager
async def running(app: faust.App) -> AsyncIterator[faust.App]:
    """From the first assignment, its tables recovered, to a clean stop."""
    # Faust's services take their loop from the first that asks; in a test that is this one.
    app.finalize()
    await app.start()
    try:
        await until(lambda: app.tables.recovery.completed.is_set() and not app.rebalancing)
        yield app
    finally:
        await app.stop()


async def until(holds: Callable[[], Any]) -> None:
    """Raises: TimeoutError."""
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - what is waited for is the app's, and tells nobody
            await asyncio.sleep(0.01)


def transport_of(app: faust.App) -> Transport:
    return app.transport.session.transport  # type: ignore[no-any-return]


async def feed(app: faust.App, topic: str, values: Sequence[Any], *, keys: Sequence[str] | None = None) -> None:
    """As JSON, value i to partition i % 2, past the app."""
    transport = transport_of(app)
    producer = transport.producer()
    for number in range(2):
        mine = [place for place in range(len(values)) if place % 2 == number]
        raw = [one if isinstance(one := values[place], bytes) else json.dumps(one).encode() for place in mine]
        batch = Batch(
            keys=[None if keys is None else keys[place].encode() for place in mine],
            values=raw,
            timestamps=[1_700_000_000_000 + place for place in mine],
        )
        await producer.produce(TopicPartition(topic, number), batch)
    await producer.flush()
    await producer.close()


def ignoring(app: faust.App, topic: str) -> None:
    """An agent that does nothing: an app without one subscribes to nothing."""

    @app.agent(app.topic(topic))
    async def ignore(stream: Any) -> None:
        async for _ in stream:
            pass


async def commit(app: faust.App) -> None:
    """What is acknowledged now. `Consumer.commit` is content with a commit that is under way, which may have begun earlier."""
    while await app.consumer.maybe_wait_for_commit_to_finish():
        pass
    await app.consumer.commit()


async def committed(app: faust.App, topic: str) -> int:
    """What the app's group has committed in all partitions together."""
    offsets = await transport_of(app).group_offsets(app.conf.id)
    return sum(offset for partition, offset in offsets.items() if partition.topic == topic)


async def records(app: faust.App, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """Everything in a topic, partition by partition."""
    transport = transport_of(app)
    found: list[tuple[bytes | None, bytes | None]] = []
    for partition, (start, end) in sorted((await transport.end_offsets(topic)).items()):
        offset = start
        while offset < end:
            one = await transport.read(partition, offset, max_records=10_000, max_wait_ms=1_000)
            found.extend(zip(one.batch.keys, one.batch.values, strict=True))
            offset = one.next_offset
    return found


async def settled_records(app: faust.App, topic: str, count: int) -> list[tuple[bytes | None, bytes | None]]:
    """Once there are `count` of them: what a transaction has decided, readers see a moment later. Raises: TimeoutError."""
    async with asyncio.timeout(WAIT_S):
        while len(found := await records(app, topic)) < count:  # noqa: ASYNC110 - nobody tells when it is visible
            await asyncio.sleep(0.01)
    return found
