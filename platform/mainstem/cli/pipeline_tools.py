"""What the commands for stopped pipelines share: where the broker is, and a transport to it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from mainstem.api.transport import Transport
from mainstem.app.environment import environment
from mainstem.app.loops import new_event_loop
from mainstem.app.plugins import PluginManager
from mainstem.app.run_options import DATA, RunOptions
from mainstem.cli.arguments import Parser

R = TypeVar("R")


def broker_flags(parser: Parser) -> None:
    parser.value(
        "--broker",
        "URL",
        "kafka://host:port, redis://host:port/0, or embedded:// (default): the broker whose data is in --data",
    )
    parser.value("--broker-config", "FILE", "properties of a Kafka client, as kafka-console-consumer takes them")
    parser.value("--data", "DIR", f"where the embedded broker keeps its records (default: {DATA})")


def with_transport(options: argparse.Namespace, work: Callable[[Transport], Awaitable[R]]) -> R:
    """Raises: ConfigError, PluginError, TransportError."""
    asked = RunOptions(
        broker=options.broker or "embedded://",
        broker_config=None if options.broker_config is None else Path(options.broker_config),
        data=Path(options.data or DATA),
    )

    async def run() -> R:
        async with environment(asked, PluginManager()) as found:
            return await work(found.transport)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(run())
