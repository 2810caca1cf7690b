"""A server that is killed and comes back, while records are on their way."""

from __future__ import annotations

import asyncio

import pytest
from tests.nats_process import nats_server

from mainstem.api.transport import Committed, TransportError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import Assignments, numbers, read, values

pytestmark = pytest.mark.conformance

PARTITION = TopicPartition("in", 0)


async def test_what_was_acknowledged_is_there_once_after_a_server_was_killed(opened, tmp_path):
    with nats_server(tmp_path) as server:
        transport = await opened(server.address)
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
        await member.commit({PARTITION: Committed(end)})
        server.kill()
        server.start()
        assert dict(await transport.group_offsets("g")) == {PARTITION: end}
        await member.close()


async def test_nobody_at_the_address_is_named(opened):
    with pytest.raises(TransportError, match=r"no NATS server answers at 127\.0\.0\.1:1; check the address"):
        await opened("127.0.0.1:1", request_timeout_ms=300)


async def test_a_server_without_jetstream_is_named(opened, tmp_path):
    refused = pytest.raises(TransportError, match=r"JetStream of the NATS server at .* cannot be used")
    with nats_server(tmp_path, "-c", str(_without_jetstream(tmp_path))) as server, refused:
        await opened(server.address)


def _without_jetstream(folder):
    config = folder / "server.conf"
    config.write_text("accounts { A { users = [{user: a, password: a}] } }\nno_auth_user: a\n")
    return config


async def test_a_member_that_is_silent_is_put_out_and_cannot_commit(server, opened):
    transport = await opened(server.address, session_timeout_ms=300)
    await transport.create_topic("in", 1, {})
    sleeper, other = transport.consumer("g"), transport.consumer("g")
    hears_sleeper, hears_other = Assignments(), Assignments()
    await sleeper.subscribe(["in"], hears_sleeper)
    while not hears_sleeper.assigned_now:
        await sleeper.fetch(max_records=1, max_wait_ms=50)
    sleeper._beating.cancel()
    await other.subscribe(["in"], hears_other)
    while not hears_other.assigned_now:
        await other.fetch(max_records=1, max_wait_ms=50)
    with pytest.raises(TransportError, match="in-0 belong to another member"):
        await sleeper.commit({PARTITION: Committed(0)})
    while "lost" not in hears_sleeper.heard:
        await sleeper.fetch(max_records=1, max_wait_ms=50)
        await other.fetch(max_records=1, max_wait_ms=50)
    await sleeper.close()
    await other.close()


async def test_transactions_are_refused(server, opened):
    transport = await opened(server.address)
    with pytest.raises(TransportError, match="has no transactions"):
        transport.transactional_producer("t")
