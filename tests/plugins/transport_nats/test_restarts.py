"""A server that is killed and comes back, while records are on their way."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from peers.node import free_ports
from served_transports import PARTITION, check_killed_server

from mainstem.api.transport import Committed
from mainstem.testing.conformance.transport_steps import Assignments, numbers, until_ends, values, write

pytestmark = pytest.mark.conformance


async def test_what_was_acknowledged_is_there_once_after_a_server_was_killed(opened, nats, tmp_path):
    server = nats(tmp_path)
    await check_killed_server(await opened(server.address), server)


async def test_a_server_that_came_back_with_less_than_it_had_does_not_stop_readers(opened, nats, tmp_path):
    """Its machine failed before its files were synced; what is written then gets the places of what was lost."""
    server = nats(tmp_path)
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    await write(transport, PARTITION, numbers(0, 3))
    server.kill()
    shutil.copytree(tmp_path / "data", tmp_path / "synced")
    server.start()
    for number in range(3, 6):
        await write(transport, PARTITION, numbers(number, number + 1))
    member, producer = transport.consumer("g"), transport.producer()
    await member.subscribe(["in"], Assignments())
    assert await values(member, 6) == numbers(0, 6).values
    assert await producer.append(PARTITION, numbers(6, 7)) == [6]
    assert await values(member, 1) == [b"6"]
    server.kill()
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "synced").rename(tmp_path / "data")
    server.start()
    assert await until_ends(member, {PARTITION}) == {PARTITION: 3}
    assert await producer.append(PARTITION, numbers(7, 9)) == [3, 4]
    assert await values(member, 2) == [b"7", b"8"]
    await producer.close()
    await member.close()


async def test_a_cluster_goes_on_without_the_server_that_led_a_partition(opened, nats, tmp_path):
    """Three servers keep everything; one of them is killed while records are on their way, and comes back."""
    routes = free_ports(3)
    named = ",".join(f"nats://127.0.0.1:{port}" for port in routes)
    servers = []
    for number, port in enumerate(routes):
        folder = tmp_path / str(number)
        folder.mkdir()
        own = ("-n", f"n{number}", "--cluster_name", "c", "--cluster", f"nats://127.0.0.1:{port}", "--routes", named)
        servers.append(nats(folder, *own))
    transport = await opened(",".join(server.address for server in servers), replicas=3)
    await transport.create_topic("in", 1, {})
    member, producer = transport.consumer("g"), transport.producer()
    await member.subscribe(["in"], Assignments())
    [log] = await transport._topics.logs("in")
    led_by = (await transport._connection.js.stream_info(log.stream)).cluster.leader

    async def write_and_read(first: int, end: int) -> None:
        for number in range(first, end):
            assert await producer.append(PARTITION, numbers(number, number + 1)) == [number]
        assert await values(member, end - first) == numbers(first, end).values

    await write_and_read(0, 20)
    leader = servers[int(led_by.removeprefix("n"))]
    leader.kill()
    await write_and_read(20, 40)
    leader.start()
    await write_and_read(40, 60)
    await member.commit({PARTITION: Committed(60)})
    assert await transport.group_offsets("g") == {PARTITION: 60}
    await producer.close()
    await member.close()


async def test_a_transport_is_closed_while_its_server_is_gone(opened, nats, tmp_path):
    server = nats(tmp_path)
    transport = await opened(server.address)
    lost = asyncio.Event()

    async def is_lost(_: Exception) -> None:
        lost.set()

    transport._connection.client._error_cb = is_lost
    server.kill()
    await lost.wait()
    await transport.close()
