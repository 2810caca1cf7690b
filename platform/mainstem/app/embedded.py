"""The broker inside a Python process: `Broker` for plain code and tests, `AsyncBroker` for asyncio programs.

with Broker() as broker:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from mainstem.api.node import LocalNode
from mainstem.app.compose_broker import BrokerNode, start_broker
from mainstem.app.loops import new_event_loop
from mainstem.app.plugins import PluginManager
from mainstem.app.settings import Settings, load_settings
from mainstem.broker.faults.registry import Faults
from mainstem.telemetry.logs import get_logger

# What suits tests and scripts better than a server's defaults; `config` overrides each of them.
EMBEDDED_DEFAULTS = {
    "listeners": "PLAINTEXT://127.0.0.1:0",
    "group.initial.rebalance.delay.ms": "0",
}


def embedded_settings(
    config: Mapping[str, object] | None, data: Path | str | None, storage: str | None, port: int | None
) -> Settings:
    """Raises: ConfigError."""
    values: dict[str, object] = dict(EMBEDDED_DEFAULTS)
    if port is not None:
        values["listeners"] = f"PLAINTEXT://127.0.0.1:{port}"
    if storage is not None:
        values["log.storage"] = storage
    if data is not None:
        values["log.dirs"] = str(data)
    values.update(config or {})
    overrides = [f"{key}={_text(value)}" for key, value in values.items()]
    return load_settings(None, {}, overrides, override_origin="config")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class AsyncBroker:
    """A broker on the running event loop.

    `data`: a directory to keep; without it records live in a temporary directory that goes with the broker.
    `storage`: `segments` (default), `memory` or `sqlite`. `port`: 0 or None takes a free one. `config`: Kafka's broker keys.
    `faults`: what goes wrong on purpose; without it `broker.faults` is there all the same, and empty.
    """

    def __init__(
        self,
        config: Mapping[str, object] | None = None,
        *,
        data: Path | str | None = None,
        storage: str | None = None,
        port: int | None = None,
        plugins: PluginManager | None = None,
        faults: Faults | None = None,
    ) -> None:
        self._config = config
        self._data = data
        self._storage = storage
        self._port = port
        self._plugins = plugins
        self.faults = faults if faults is not None else Faults()
        self._stack = AsyncExitStack()
        self._node: BrokerNode | None = None

    async def start(self) -> Self:
        """Raises: ConfigError, PluginError, StorageError."""
        async with AsyncExitStack() as stack:
            data = self._data
            has_own_directory = "log.dirs" in (self._config or {}) or "log.dir" in (self._config or {})
            if data is None and not has_own_directory:
                data = stack.enter_context(tempfile.TemporaryDirectory(prefix="mainstem-", ignore_cleanup_errors=True))
            settings = embedded_settings(self._config, data, self._storage, self._port)
            for warning in settings.warnings:
                get_logger("mainstem.broker").warning("config.warning", text=warning)
            self._node = await start_broker(settings.config, plugins=self._plugins, faults=self.faults)
            stack.push_async_callback(self._node.close)
            self._stack = stack.pop_all()
        return self

    async def close(self) -> None:
        self._node = None
        await self._stack.aclose()

    @property
    def node(self) -> BrokerNode:
        if self._node is None:
            raise RuntimeError("the broker is not running: use it in a `with` block, or call start()")
        return self._node

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, what every Kafka client calls `bootstrap.servers`."""
        return self.node.bootstrap_servers

    @property
    def metrics_port(self) -> int | None:
        """Where `/metrics` is served, if `metrics.port` is configured."""
        return self.node.metrics_port

    @property
    def local_node(self) -> LocalNode:
        """The broker without a socket, for code on the same loop."""
        return self.node.local_node

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Broker:
    """A broker on a thread of its own, for code without an event loop. Takes what `AsyncBroker` takes."""

    def __init__(
        self,
        config: Mapping[str, object] | None = None,
        *,
        data: Path | str | None = None,
        storage: str | None = None,
        port: int | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults if faults is not None else Faults()
        """What goes wrong on purpose; rules may come and go while the broker runs."""
        self._make: Callable[[], AsyncBroker] = lambda: AsyncBroker(
            config, data=data, storage=storage, port=port, faults=self.faults
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._broker: AsyncBroker | None = None
        self._bootstrap_servers: str | None = None
        self._metrics_port: int | None = None

    def start(self) -> Self:
        """Returns when the port answers. Raises: ConfigError, PluginError, StorageError."""
        if self._thread is not None:
            raise RuntimeError("the broker is running already")
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mainstem-broker", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except BaseException:
            self._stop_thread()
            raise
        return self

    async def _start(self) -> None:
        self._broker = await self._make().start()
        self._bootstrap_servers = self._broker.bootstrap_servers
        self._metrics_port = self._broker.metrics_port

    def close(self) -> None:
        """Flush, write checkpoints, close; the thread has ended when this returns."""
        if self._loop is None or self._broker is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(self._broker.close(), self._loop).result()
        finally:
            self._broker = None
            self._stop_thread()

    def _stop_thread(self) -> None:
        assert self._loop is not None, "called after start only"
        assert self._thread is not None, "called after start only"
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = self._bootstrap_servers = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, what every Kafka client calls `bootstrap.servers`."""
        if self._bootstrap_servers is None:
            raise RuntimeError("the broker is not running: use it in a `with` block, or call start()")
        return self._bootstrap_servers

    @property
    def metrics_port(self) -> int | None:
        """Where `/metrics` is served, if `metrics.port` is configured."""
        return self._metrics_port

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
