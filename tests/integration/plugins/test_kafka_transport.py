"""The contract of transports, kept by `kafka` on the broker under test: ours, or the one MAINSTEM_TEST_BOOTSTRAP names."""

from __future__ import annotations

import uuid

from mainstem.api.spec import configure
from mainstem.api.transport import Transport
from mainstem.testing.conformance.context import plugin_context
from mainstem.testing.conformance.transports import check_transport
from mainstem_plugins.transport_kafka import KafkaConfig, mainstem_register_transports

[SPEC] = mainstem_register_transports()

# Members hear of a rebalance with a heartbeat, and a new assignment waits for the fetch that is under way.
IMPATIENT = {"heartbeat.interval.ms": "50", "fetch.wait.max.ms": "50"}


async def test_contract(bootstrap: str) -> None:
    with plugin_context() as context:

        async def open_transport() -> Transport:
            config = configure(KafkaConfig, {"properties": IMPATIENT}, owner="transport kafka")
            transport = SPEC.open(config, context, bootstrap, None)
            await transport.open()
            return transport

        await check_transport(open_transport, f"contract-{uuid.uuid4().hex[:8]}")
