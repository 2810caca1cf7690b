"""Listeners: bound first, so that a taken port is known before anything else happens; accepting once the broker can answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from mainstem.broker.connection import Connection
from mainstem.broker.dispatch import Dispatcher
from mainstem.model.cluster import Endpoint
from mainstem.model.errors import ConfigError

BACKLOG = 1024


class BoundListener:
    """A bound socket and the listener it belongs to; `endpoint.port` is the port that was really bound."""

    def __init__(self, endpoint: Endpoint, bound: socket.socket) -> None:
        self.endpoint = endpoint
        self.socket = bound


def bind(endpoints: Sequence[Endpoint]) -> list[BoundListener]:
    """Raises: ConfigError if an address cannot be bound or a security protocol is not served."""
    bound: list[BoundListener] = []
    try:
        for endpoint in endpoints:
            if endpoint.security_protocol != "PLAINTEXT":
                raise ConfigError(
                    "listeners",
                    f"{endpoint.listener}://{endpoint.host}:{endpoint.port}",
                    f"the security protocol {endpoint.security_protocol} is not served yet; PLAINTEXT is",
                )
            bound.append(_bind_one(endpoint))
    except BaseException:
        for listener in bound:
            listener.socket.close()
        raise
    return bound


def _bind_one(endpoint: Endpoint) -> BoundListener:
    host = endpoint.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, endpoint.port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            "listeners",
            f"{endpoint.listener}://{host}:{endpoint.port}",
            f"cannot listen there: {reason}; end what listens there, or choose another port (0 takes a free one)",
        ) from error
    bound.setblocking(False)
    port = bound.getsockname()[1]
    return BoundListener(Endpoint(endpoint.listener, endpoint.security_protocol, host, port), bound)


class Server:
    """Accepts connections on bound listeners until closed."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._servers: list[asyncio.Server] = []

    async def start(self, listeners: Sequence[BoundListener]) -> None:
        loop = asyncio.get_running_loop()
        for listener in listeners:
            name = listener.endpoint.listener
            self._servers.append(
                await loop.create_server(
                    lambda name=name: Connection(self._dispatcher, name),  # type: ignore[misc]  # a default binds the name
                    sock=listener.socket,
                    backlog=BACKLOG,
                )
            )

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        await self._dispatcher.close()
