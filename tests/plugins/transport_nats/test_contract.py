"""The contract of transports, on a real NATS server with JetStream."""

from __future__ import annotations

import pytest

from mainstem.testing.conformance.transports import check_transport

pytestmark = pytest.mark.conformance


async def test_contract(server, opened):
    await check_transport(lambda: opened(server.address), "c")


async def test_contract_with_small_messages(server, opened):
    """Whatever a batch is cut into."""
    await check_transport(lambda: opened(server.address, message_bytes=1_024), "c")
