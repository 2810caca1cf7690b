"""Workers that are killed with signal 9 while they work on Redis: see `tests/killed_workers.py`."""

from __future__ import annotations

import pytest
from served_transports import check_killed_workers

from mainstem_plugins.transport_redis import mainstem_register_transports

pytestmark = pytest.mark.conformance

[SPEC] = mainstem_register_transports()


@pytest.mark.parametrize("exactly_once", [False, True], ids=["at-least-once", "exactly-once"])
def test_totals_are_right_after_workers_were_killed(server, tmp_path, exactly_once):
    check_killed_workers(tmp_path, SPEC, server.address, exactly_once=exactly_once)
