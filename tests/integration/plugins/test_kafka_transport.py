"""The contract of transports, kept by `kafka` on the broker under test: ours, or the one MAINSTEM_TEST_BOOTSTRAP names."""

from __future__ import annotations

import os
import uuid
from functools import partial

import pytest

from mainstem.api.context import PluginContext
from mainstem.api.spec import configure
from mainstem.api.transport import Committed, Transport
from mainstem.app.embedded import Broker
from mainstem.model.errors import ConfigError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.context import plugin_context
from mainstem.testing.conformance.transport_steps import Assignments, consumer, until
from mainstem.testing.conformance.transports import check_transport
from mainstem_plugins.transport_kafka import KafkaConfig, mainstem_register_transports

[SPEC] = mainstem_register_transports()

# Members hear of a rebalance with a heartbeat, and a new assignment waits for the fetch that is under way.
IMPATIENT = {
    "classic": {"heartbeat.interval.ms": "50", "fetch.wait.max.ms": "50"},
    "consumer": {"fetch.wait.max.ms": "50"},
}

COOPERATIVE = {"partition.assignment.strategy": "cooperative-sticky"}


async def opened(context: PluginContext, bootstrap: str, protocol: str, **options: str) -> Transport:
    settings = {"properties": IMPATIENT[protocol], "group.protocol": protocol, **options}
    transport = SPEC.open(configure(KafkaConfig, settings, owner="transport kafka"), context, bootstrap, None)
    await transport.open()
    return transport


async def check(bootstrap: str, protocol: str) -> None:
    with plugin_context() as context:
        await check_transport(partial(opened, context, bootstrap, protocol), f"contract-{uuid.uuid4().hex[:8]}")


async def test_contract(bootstrap: str) -> None:
    await check(bootstrap, "classic")


async def test_contract_by_the_consumer_protocol() -> None:
    """Members hear of a rebalance with a heartbeat, and how often those come is the broker's word: without one that is told
    to be impatient, on a broker of our own."""
    given = os.environ.get("MAINSTEM_TEST_BOOTSTRAP")
    if given is not None:
        await check(given, "consumer")
        return
    often = {"group.consumer.heartbeat.interval.ms": 50, "group.consumer.min.heartbeat.interval.ms": 50}
    with Broker(often, storage="memory") as broker:
        await check(broker.bootstrap_servers, "consumer")


async def test_a_cooperative_group_moves_only_what_has_to_move(bootstrap: str) -> None:
    prefix = f"cooperative-{uuid.uuid4().hex[:8]}"
    topic = f"{prefix}-orders"
    with plugin_context() as context:
        transport = await opened(context, bootstrap, "classic", **COOPERATIVE)
        await transport.create_topic(topic, 4, {})
        async with consumer(transport, prefix, "group", topics=[topic]) as (first, hears_first):
            await until(lambda: len(hears_first.assigned_now) == 4, first)
            before = list(hears_first.assigned_now)
            gone: list[TopicPartition] = []

            async def commit() -> None:
                await first.commit({partition: Committed(7) for partition in before})
                gone.extend(hears_first.assigned_now)

            hears_first.on_revoked = commit
            async with consumer(transport, prefix, "group", topics=[topic]) as (second, hears_second):
                await until(lambda: len(hears_first.assigned_now) == len(hears_second.assigned_now) == 2, first, second)
                # `Assignments` fails if what a member has already is assigned to it again.
                assert hears_first.heard.count("revoked") == 1, "what stays is not given back"
                assert sorted(gone) == sorted(before), "all of it was there when the two went"
                assert sorted([*hears_first.assigned_now, *hears_second.assigned_now]) == sorted(before)
                found = await second.committed(hears_second.assigned_now)
                assert {one.offset for one in found.values()} == {7}
                hears_first.on_revoked = None
            await until(lambda: len(hears_first.assigned_now) == 4, first)
            assert hears_first.heard.count("revoked") == 1
        await transport.close()


async def test_a_cooperative_group_reads_one_topic_because_several_would_be_torn_apart(bootstrap: str) -> None:
    with plugin_context() as context:
        transport = await opened(context, bootstrap, "classic", **COOPERATIVE)
        member = transport.consumer("together")
        with pytest.raises(ConfigError, match="reads orders, payments, whose partitions must stay together"):
            await member.subscribe(["orders", "payments"], Assignments())
        await member.close()
        await transport.close()


def test_the_broker_assigns_cooperatively_by_itself() -> None:
    settings = {"group.protocol": "consumer", **COOPERATIVE}
    with plugin_context() as context, pytest.raises(ConfigError, match="leave it out"):
        SPEC.open(configure(KafkaConfig, settings, owner="transport kafka"), context, "nowhere:1", None)
