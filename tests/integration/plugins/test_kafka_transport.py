"""The contract of transports, kept by `kafka` on the broker under test: ours, or the one MAINSTEM_TEST_BOOTSTRAP names."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from mainstem.api.context import PluginContext
from mainstem.api.spec import configure
from mainstem.api.transport import Transport
from mainstem.runtime.clock import SystemClock
from mainstem.telemetry.logs import get_logger
from mainstem.telemetry.sensors import Sensors
from mainstem.testing.conformance.transports import check_transport
from mainstem_plugins.transport_kafka import KafkaConfig, mainstem_register_transports

[SPEC] = mainstem_register_transports()

# Members hear of a rebalance with a heartbeat, and a new assignment waits for the fetch that is under way.
IMPATIENT = {"heartbeat.interval.ms": "50", "fetch.wait.max.ms": "50"}


async def test_contract(bootstrap: str) -> None:
    with ThreadPoolExecutor(4) as executor:
        context = PluginContext(clock=SystemClock(), log=get_logger("test"), executor=executor, sensor=Sensors())

        async def open_transport() -> Transport:
            config = configure(KafkaConfig, {"properties": IMPATIENT}, owner="transport kafka")
            transport = SPEC.open(config, context, bootstrap, None)
            await transport.open()
            return transport

        await check_transport(open_transport, f"contract-{uuid.uuid4().hex[:8]}", has_groups=True)
