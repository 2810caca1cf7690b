"""A group of members in the process and over sockets."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import Consumer

from mainstem.api.spec import configure
from mainstem.api.transport import Committed, NotMember, TransportError
from mainstem.app.embedded import AsyncBroker
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import Assignments, fetch, numbers, until, write
from mainstem_plugins.transport_embedded import EmbeddedConfig, mainstem_register_transports

[SPEC] = mainstem_register_transports()
OFTEN = {"group.consumer.heartbeat.interval.ms": 50, "group.consumer.min.heartbeat.interval.ms": 50}
SHORT_SESSIONS = {"group.consumer.session.timeout.ms": 300, "group.consumer.min.session.timeout.ms": 300, **OFTEN}


def opened(context, broker, **options):
    return SPEC.open(configure(EmbeddedConfig, options, owner="transport embedded"), context, "", broker.local_node)


async def joined(transport, topic="in"):
    member, hears = transport.consumer("g"), Assignments()
    await member.subscribe([topic], hears)
    return member, hears


async def test_a_member_over_the_network_shares_with_one_in_the_process(context):
    async with AsyncBroker(OFTEN, storage="memory") as broker:
        transport = opened(context, broker)
        await transport.create_topic("in", 4, {})
        inside, hears = await joined(transport)
        await until(lambda: len(hears.assigned_now) == 4, inside)
        outside = Consumer(
            {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "group.protocol": "consumer"}
        )
        outside.subscribe(["in"])
        try:
            while not (len(hears.assigned_now) == 2 and len(outside.assignment()) == 2):
                await asyncio.gather(fetch(inside), asyncio.to_thread(outside.poll, 0.05))
            theirs = {(one.topic, one.partition) for one in outside.assignment()}
            assert theirs.isdisjoint(hears.assigned_now)
            await inside.commit({partition: Committed(0, "kept") for partition in hears.assigned_now})
        finally:
            await asyncio.to_thread(outside.close)
        await until(lambda: len(hears.assigned_now) == 4, inside)
        await inside.close()
        assert len(await transport.group_offsets("g")) == 2


async def test_a_member_that_does_not_fetch_is_put_out_and_begins_again(context):
    async with AsyncBroker(SHORT_SESSIONS, storage="memory") as broker:
        transport = opened(context, broker, max_poll_interval_ms=100)
        await transport.create_topic("in", 1, {})
        partition = TopicPartition("in", 0)
        await write(transport, partition, numbers(0, 3))
        sleeper, hears_sleeper = await joined(transport)
        await until(lambda: hears_sleeper.assigned_now == [partition], sleeper)
        other, hears_other = await joined(transport)
        await until(lambda: hears_other.assigned_now == [partition], other)
        with pytest.raises(NotMember):
            await sleeper.commit({partition: Committed(3)})
        await until(lambda: "lost" in hears_sleeper.heard, sleeper, other)
        await sleeper.close()
        await other.close()


async def test_a_group_is_not_moved_while_it_has_members(context):
    async with AsyncBroker(storage="memory") as broker:
        transport = opened(context, broker)
        await transport.create_topic("in", 1, {})
        member, _ = await joined(transport)
        with pytest.raises(TransportError, match="stop its members first"):
            await transport.set_group_offsets("g", {TopicPartition("in", 0): 0})
        await member.close()
        await transport.set_group_offsets("g", {TopicPartition("in", 0): 0})


async def test_members_of_a_process_that_was_killed_hold_nothing(context, tmp_path):
    """Their session would last for 45 s."""
    async with AsyncBroker(data=tmp_path) as broker:
        transport = opened(context, broker)
        await transport.create_topic("in", 1, {})
        killed, hears = await joined(transport)
        await until(lambda: len(hears.assigned_now) == 1, killed)
        killed._beating.cancel()
    async with AsyncBroker(data=tmp_path) as broker:
        member, hears = await joined(opened(context, broker))
        await until(lambda: len(hears.assigned_now) == 1, member)
        await member.close()
