"""`GET /metrics` for brokers and workers: the smallest HTTP server that a scraper needs, on the process's own loop.

One request per connection; anything but GET of a known path gets 404 or 405; a client has ten seconds to ask. `/faults` beside it
is `app.faults_endpoint`, `/pipelines` is `app.queries_endpoint`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mainstem.api.sensor import SensorExporter, Snapshot
from mainstem.app.faults_endpoint import HttpAnswer, HttpRequest, answer_faults, read_body_size
from mainstem.app.plugins import PluginManager
from mainstem.broker.faults.registry import Faults
from mainstem.model.errors import ConfigError
from mainstem.telemetry.sensors import Sensors

EXPORTER = "prometheus"
REQUEST_BYTES_MAX = 8192
REQUEST_TIMEOUT_S = 10
TEXT = "text/plain; charset=utf-8"


def open_exporter(plugins: PluginManager) -> Callable[[Snapshot], tuple[str, bytes]]:
    """From a snapshot of a registry to content type and body."""
    exporter = plugins.find(SensorExporter, EXPORTER)
    render: Callable[[Snapshot], tuple[str, bytes]] = exporter.open(exporter.config())
    return render


class MetricsEndpoint:
    """`port` is the one really bound."""

    def __init__(self, sensors: Sensors, plugins: PluginManager, faults: Faults | None = None) -> None:
        """`faults`: those that clients may change; None if they may not."""
        self._sensors = sensors
        self._faults = faults
        self.answer_pipelines: Callable[[HttpRequest], HttpAnswer] | None = None
        """`/pipelines`, where pipelines run; whoever runs them sets it, so that a broker need not import them."""
        self._render = open_exporter(plugins)
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
                request = _read(head)
                if request.path.startswith("/faults"):
                    size = min(read_body_size(request), REQUEST_BYTES_MAX)
                    request.body = await reader.readexactly(size)
                    writer.write(_response(await answer_faults(self._faults, request)))
                elif self.answer_pipelines is not None and request.path.startswith("/pipelines"):
                    writer.write(_response(self.answer_pipelines(request)))
                else:
                    writer.write(self._answer(request))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # a client that does not speak HTTP, or left: there is nobody to tell
        finally:
            writer.close()

    def _answer(self, request: HttpRequest) -> bytes:
        if request.method not in ("GET", "HEAD"):
            return _response(HttpAnswer("405 Method Not Allowed", TEXT, b"only GET is answered here\n"))
        if request.path != "/metrics":
            return _response(HttpAnswer("404 Not Found", TEXT, b"metrics are at /metrics\n"))
        kind, body = self._render(self._sensors.snapshot())
        response = _response(HttpAnswer("200 OK", kind, body))
        return response if request.method == "GET" else response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


def _read(head: bytes) -> HttpRequest:
    """What is not HTTP is a request for nothing."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    path, _, query = rest.partition(" ")[0].partition("?")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return HttpRequest(method, path, headers, query=query)


def _response(answer: HttpAnswer) -> bytes:
    length = len(answer.body)
    head = f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    return head.encode() + answer.body
