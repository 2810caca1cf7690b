"""One Redis for all tests of the folder, each with keys of its own; and the transport opened on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from redis_process import RedisProcess, redis_server
from served_transports import Opening, opening

from mainstem.api.context import PluginContext
from mainstem_plugins.transport_redis import mainstem_register_transports

[SPEC] = mainstem_register_transports()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def opened(context: PluginContext) -> AsyncIterator[Opening]:
    """`opened(address, setting=...)` opens a transport that is closed with the test; one test has one prefix."""
    async with opening(SPEC, context) as opened:
        yield opened
