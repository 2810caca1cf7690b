"""`GET /metrics` for brokers and workers: the smallest HTTP server that a scraper needs, on the process's own loop.

One request per connection; anything but GET of a known path gets 404 or 405; a client has ten seconds to ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mainstem.api.sensor import SensorExporter
from mainstem.app.plugins import PluginManager
from mainstem.model.errors import ConfigError
from mainstem.telemetry.sensors import Sensors

EXPORTER = "prometheus"
REQUEST_BYTES_MAX = 8192
REQUEST_TIMEOUT_S = 10


class MetricsEndpoint:
    """`port` is the one really bound."""

    def __init__(self, sensors: Sensors, plugins: PluginManager) -> None:
        self._sensors = sensors
        exporter = plugins.find(SensorExporter, EXPORTER)
        self._render: Callable[..., tuple[str, bytes]] = exporter.open(exporter.config())
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Raises: ConfigError if the address cannot be bound."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=REQUEST_BYTES_MAX)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError("metrics.port", port, f"cannot listen on {host}:{port}: {reason}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # a client that does not speak HTTP, or left: there is nobody to tell
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", "text/plain; charset=utf-8", b"only GET is answered here\n")
        if path != b"/metrics":
            return _response("404 Not Found", "text/plain; charset=utf-8", b"metrics are at /metrics\n")
        kind, body = self._render(self._sensors.snapshot())
        response = _response("200 OK", kind, body)
        return response if method == b"GET" else response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


def _response(status: str, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
