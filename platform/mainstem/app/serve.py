"""`mainstem broker`: one broker in the foreground until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable

from mainstem.app.compose_broker import start_broker
from mainstem.app.loops import new_event_loop
from mainstem.app.settings import Settings
from mainstem.model.errors import MainstemError
from mainstem.telemetry import logs

EXIT_FAILURE = 1
GC_THRESHOLDS = (50_000, 20, 50)
"""Of objects made and not freed; with Python's own 700 the collector took a tenth of a busy broker's time."""
SWITCH_INTERVAL_S = 0.001
"""How long a thread (a cleaning, a cold read) may keep the interpreter while the loop waits for it; Python's own is 5 ms."""


def serve(settings: Settings, on_started: Callable[[], None] = lambda: None) -> int:
    """Runs until a signal; returns the process's exit status. `on_started` is called once, when clients can connect."""
    logs.configure()
    log = logs.get_logger("mainstem.broker")
    for warning in settings.warnings:
        log.warning("config.warning", text=warning)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            return runner.run(_serve(settings, on_started))
        except MainstemError as error:
            print(f"mainstem broker: {error}", file=sys.stderr)  # noqa: T201 - the last word of a failed start
            return EXIT_FAILURE


async def _serve(settings: Settings, on_started: Callable[[], None]) -> int:
    log = logs.get_logger("mainstem.broker")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stopped.set)
        except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt instead
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
    node = await start_broker(settings.config)
    # What is there now stays: the collector need not look at it again, and what requests make seldom holds cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    listeners = ", ".join(f"{e.listener}://{e.host}:{e.port}" for e in node.endpoints)
    log.info(
        "broker.started", listeners=listeners, log_dirs=list(settings.config.log_dirs), node_id=settings.config.node_id
    )
    on_started()
    try:
        await stopped.wait()
    finally:
        await node.close()
    log.info("broker.stopped")
    return 0
