from __future__ import annotations

from mainstem.testing.conformance.transports import check_transport
from mainstem.testing.simulated_transport import SimulatedTopics, SimulatedTransport


async def test_the_simulated_transport_keeps_the_contract_of_the_real_ones():
    topics = SimulatedTopics()

    async def open_transport() -> SimulatedTransport:
        return SimulatedTransport(topics)

    await check_transport(open_transport, "simulated")
