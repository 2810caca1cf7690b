"""One NATS server for all tests of the folder, each with keys of its own; and the transport opened on it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.nats_process import NatsProcess, nats_server

from mainstem.api.context import PluginContext
from mainstem.api.spec import configure
from mainstem.api.transport import Transport
from mainstem_plugins.transport_nats import NatsConfig, mainstem_register_transports

[SPEC] = mainstem_register_transports()
Opening = Callable[..., Awaitable[Transport]]


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
    made: list[Transport] = []
    prefix = f"t{uuid.uuid4().hex[:10]}"

    async def opening(address: str, **options: Any) -> Transport:
        config = configure(NatsConfig, {"prefix": prefix, **options}, owner="transport nats")
        transport = SPEC.open(config, context, address, None)
        await transport.open()
        made.append(transport)
        return transport

    yield opening
    for transport in made:
        await transport.close()
