"""Workers that are killed with signal 9 while they work on NATS: see `tests/killed_workers.py`."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from killed_workers import PARTITIONS, TransportCarrier, check_totals

from mainstem.api.spec import configure
from mainstem.testing.conformance.context import plugin_context
from mainstem_plugins.transport_nats import NatsConfig, open_transport

pytestmark = pytest.mark.conformance


def test_totals_are_right_after_workers_were_killed(server, tmp_path):
    prefix = f"k{uuid.uuid4().hex[:10]}"
    with plugin_context() as context, asyncio.Runner() as runner:
        transport = open_transport(
            configure(NatsConfig, {"prefix": prefix}, owner="nats"), context, server.address, None
        )
        runner.run(transport.open())
        try:
            runner.run(transport.create_topic("orders", PARTITIONS, {}))
            check_totals(
                tmp_path,
                TransportCarrier(runner, transport),
                name="totals",
                topic="orders",
                options=["--broker", f"nats://{server.address}?prefix={prefix}&session_timeout_ms=1000"],
                exactly_once=False,
            )
        finally:
            runner.run(transport.close())
