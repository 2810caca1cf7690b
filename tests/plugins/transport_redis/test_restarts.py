"""A server that is killed and comes back, while records are on their way."""

from __future__ import annotations

import pytest
from redis_process import redis_server
from served_transports import check_killed_server

pytestmark = pytest.mark.conformance


async def test_what_was_acknowledged_is_there_once_after_a_server_was_killed(opened, tmp_path):
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        await check_killed_server(await opened(server.address, session_timeout_ms=300), server)
