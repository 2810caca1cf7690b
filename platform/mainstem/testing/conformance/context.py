"""A `PluginContext` for the tests of a plugin: the system's time, threads, logs on standard error, metrics that are kept."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from mainstem.api.context import Clock, PluginContext
from mainstem.runtime.clock import SystemClock
from mainstem.telemetry.logs import get_logger
from mainstem.telemetry.sensors import Sensors


@contextmanager
def plugin_context(clock: Clock | None = None, *, threads: int = 4) -> Iterator[PluginContext]:
    with ThreadPoolExecutor(threads, thread_name_prefix="mainstem-test") as executor:
        yield PluginContext(
            clock=clock or SystemClock(), log=get_logger("mainstem.test"), executor=executor, sensor=Sensors()
        )
