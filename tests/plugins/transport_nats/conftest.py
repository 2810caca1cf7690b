"""One NATS server for all tests of the folder, each with keys of its own; and the transport opened on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from nats_process import NatsProcess, nats_server
from served_transports import Opening, opening

from mainstem.api.context import PluginContext
from mainstem_plugins.transport_nats import mainstem_register_transports

[SPEC] = mainstem_register_transports()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def nats() -> Iterator[Callable[..., NatsProcess]]:
    """`nats(folder, *flags)` starts a server of the test's own, which ends with it."""
    with ExitStack() as stack:
        yield lambda folder, *flags: stack.enter_context(nats_server(folder, *flags))


@pytest.fixture
async def opened(context: PluginContext, nats: object) -> AsyncIterator[Opening]:
    """`opened(address, setting=...)` opens a transport that is closed with the test; one test has one prefix.

    `nats`: servers of the test's own end after that.
    """
    async with opening(SPEC, context) as opened:
        yield opened
