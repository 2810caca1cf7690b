"""The contract of transports, kept by `kafka` on the broker under test: ours, or the one MAINSTEM_TEST_BOOTSTRAP names."""

from __future__ import annotations

import os
import uuid

from mainstem.api.spec import configure
from mainstem.api.transport import Transport
from mainstem.app.embedded import Broker
from mainstem.testing.conformance.context import plugin_context
from mainstem.testing.conformance.transports import check_transport
from mainstem_plugins.transport_kafka import KafkaConfig, mainstem_register_transports

[SPEC] = mainstem_register_transports()

# Members hear of a rebalance with a heartbeat, and a new assignment waits for the fetch that is under way.
IMPATIENT = {
    "classic": {"heartbeat.interval.ms": "50", "fetch.wait.max.ms": "50"},
    "consumer": {"fetch.wait.max.ms": "50"},
}


async def check(bootstrap: str, protocol: str) -> None:
    with plugin_context() as context:

        async def open_transport() -> Transport:
            options = {"properties": IMPATIENT[protocol], "group.protocol": protocol}
            config = configure(KafkaConfig, options, owner="transport kafka")
            transport = SPEC.open(config, context, bootstrap, None)
            await transport.open()
            return transport

        await check_transport(open_transport, f"contract-{uuid.uuid4().hex[:8]}")


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
