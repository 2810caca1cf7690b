"""A server that is killed and comes back, while records are on their way."""

from __future__ import annotations

import asyncio

import pytest
from tests.redis_process import redis_server

from mainstem.api.transport import Committed
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import Assignments, numbers, read, values

pytestmark = pytest.mark.conformance

PARTITION = TopicPartition("in", 0)


async def test_what_was_acknowledged_is_there_once_after_a_server_was_killed(opened, tmp_path):
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        transport = await opened(server.address, session_timeout_ms=300)
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
