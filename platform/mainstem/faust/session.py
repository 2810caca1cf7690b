"""What an app is connected to: a transport of pipelines, and for `mainstem://` the broker in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from mainstem.api.transport import Transport
from mainstem.app.collector import settled_collector
from mainstem.app.environment import Environment, open_environment
from mainstem.app.plugins import PluginManager
from mainstem.app.run_options import DATA, RunOptions
from mainstem.faust.schemes import EMBEDDED, MEMORY, REMOTE_PREFIX
from mainstem.model.errors import ConfigError


def run_options(urls: Sequence[Any]) -> RunOptions:
    """What an app's `broker` setting means to `mainstem run`.

    `memory://name`: topics of this process. `mainstem://` and `mainstem:///folder`: the broker in this process, its records in
    `mainstem-data` or in the folder. `mainstem+kafka://host:port`, several separated by `;`: a cluster, and likewise for each
    other transport. Raises: ConfigError.
    """
    first = urls[0]
    scheme = first.scheme
    settings = f"?{first.raw_query_string}" if first.raw_query_string else ""
    if scheme == MEMORY:
        return RunOptions(broker=f"memory://{first.host or ''}{settings}")
    if scheme == EMBEDDED:
        return RunOptions(broker=f"embedded://{settings}", data=folder(first))
    if scheme.startswith(REMOTE_PREFIX):
        address = ",".join(one.authority + (one.path if one.path != "/" else "") for one in urls)
        return RunOptions(broker=f"{scheme.removeprefix(REMOTE_PREFIX)}://{address}{settings}")
    raise ConfigError("broker", str(first), "mainstem://, memory:// and mainstem+kafka:// are served here")


def folder(url: Any) -> Path:
    named = f"{url.host or ''}{url.path if url.path != '/' else ''}"
    return Path(named) if named else DATA


class Session:
    """Opened by the first of an app's services that starts, closed by the last that stops."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options
        self.environment: Environment | None = None
        self._stack = AsyncExitStack()
        self._users = 0
        self._opening = asyncio.Lock()

    async def acquire(self) -> None:
        """Raises: ConfigError, PluginError, TransportError."""
        async with self._opening:
            if not self._users:
                async with AsyncExitStack() as stack:
                    self.environment = await open_environment(self.options, PluginManager(), stack)
                    stack.enter_context(settled_collector(collects=False))
                    self._stack = stack.pop_all()
            self._users += 1

    async def release(self) -> None:
        self._users -= 1
        if not self._users:
            self.environment = None
            await self._stack.aclose()

    @property
    def transport(self) -> Transport:
        if self.environment is None:
            raise ConfigError("broker", self.options.broker, "the app has not started: it is not connected yet")
        return self.environment.transport


_SESSIONS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[RunOptions, Session]] = WeakKeyDictionary()


def shared_session(options: RunOptions) -> Session:
    """One per event loop and address: two apps of a process share the broker that only one can be."""
    sessions = _SESSIONS.setdefault(asyncio.get_running_loop(), {})
    return sessions.setdefault(options, Session(options))
