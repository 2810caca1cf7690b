"""Workers that are killed with signal 9 while they work on Redis: see `tests/killed_workers.py`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import pytest
from killed_workers import PARTITIONS, check_totals

from mainstem.api.batch import Batch
from mainstem.api.spec import configure
from mainstem.api.transport import Transport, TransportError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.context import plugin_context
from mainstem_plugins.transport_redis import RedisConfig, open_transport

pytestmark = pytest.mark.conformance

MOMENT_MS = 50


class Topics:
    def __init__(self, runner: asyncio.Runner, transport: Transport) -> None:
        self._runner = runner
        self._transport = transport
        self._positions = dict.fromkeys(range(PARTITIONS), 0)

    def produce(self, topic: str, values: Sequence[bytes]) -> None:
        async def produce() -> None:
            producer = self._transport.producer()
            for number in range(PARTITIONS):
                mine = list(values[number::PARTITIONS])
                batch = Batch(keys=[None] * len(mine), values=mine, timestamps=[1_700_000_000_000] * len(mine))
                await producer.produce(TopicPartition(topic, number), batch)
            await producer.flush()
            await producer.close()

        self._runner.run(produce())

    def read(self, topic: str) -> list[bytes]:
        async def read() -> list[bytes]:
            found: list[bytes] = []
            for number, position in self._positions.items():
                partition = TopicPartition(topic, number)
                try:
                    got = await self._transport.read(partition, position, max_records=500, max_wait_ms=MOMENT_MS)
                except TransportError:
                    return found  # no worker has made it yet
                self._positions[number] = got.next_offset
                found += [value for value in got.batch.values if value is not None]
            return found

        return self._runner.run(read())


@pytest.mark.parametrize("exactly_once", [False, True], ids=["at-least-once", "exactly-once"])
def test_totals_are_right_after_workers_were_killed(server, tmp_path, exactly_once):
    prefix = f"k{uuid.uuid4().hex[:10]}"
    with plugin_context() as context, asyncio.Runner() as runner:
        transport = open_transport(
            configure(RedisConfig, {"prefix": prefix}, owner="redis"), context, server.address, None
        )
        runner.run(transport.open())
        try:
            runner.run(transport.create_topic("orders", PARTITIONS, {}))
            check_totals(
                tmp_path,
                Topics(runner, transport),
                name="totals",
                topic="orders",
                options=["--broker", f"redis://{server.address}?prefix={prefix}&session_timeout_ms=1000"],
                exactly_once=exactly_once,
            )
        finally:
            runner.run(transport.close())
