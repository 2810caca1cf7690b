"""Workers that are killed with signal 9 while they work on NATS: see `tests/killed_workers.py`."""

from __future__ import annotations

import pytest
from served_transports import check_killed_workers

from mainstem_plugins.transport_nats import mainstem_register_transports

pytestmark = pytest.mark.conformance

[SPEC] = mainstem_register_transports()


def test_totals_are_right_after_workers_were_killed(server, tmp_path):
    check_killed_workers(tmp_path, SPEC, server.address, exactly_once=False)
