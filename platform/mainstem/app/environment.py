"""What pipelines and the tools for them stand on: a broker in this process if need be, threads, metrics, a transport."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from mainstem.api.context import PluginContext
from mainstem.api.spec import configure
from mainstem.api.transport import Transport, TransportSpec
from mainstem.app.broker_client import BOOTSTRAP, client_properties, transport_settings
from mainstem.app.embedded import AsyncBroker
from mainstem.app.metrics_endpoint import MetricsEndpoint
from mainstem.app.plugins import PluginManager
from mainstem.app.run_options import RunOptions
from mainstem.app.workers import start_broker
from mainstem.runtime.clock import SystemClock
from mainstem.telemetry.logs import get_logger
from mainstem.telemetry.sensors import Sensors

THREADS = 16
METRICS_HOST = "127.0.0.1"


class Environment(NamedTuple):
    """`broker` is None where the transport needs none in this process, and `endpoint` where nobody asked for metrics."""

    context: PluginContext
    broker: AsyncBroker | None
    transport: Transport
    endpoint: MetricsEndpoint | None


@asynccontextmanager
async def environment(options: RunOptions, plugins: PluginManager) -> AsyncIterator[Environment]:
    """Raises: ConfigError, PluginError, TransportError."""
    async with AsyncExitStack() as stack:
        yield await open_environment(options, plugins, stack)


async def open_environment(options: RunOptions, plugins: PluginManager, stack: AsyncExitStack) -> Environment:
    """Closed with `stack`. Raises: as `environment`."""
    scheme, address, from_url = options.broker_parts
    spec = plugins.find(TransportSpec, scheme)
    settings: Mapping[str, Any] = from_url
    if not spec.needs_local_node or options.broker_config is not None:
        properties = client_properties(options.broker_config, os.environ)
        address = address or properties.get(BOOTSTRAP, "")
        settings = transport_settings(spec.config, scheme, properties, from_url)
    sensors = Sensors()
    broker: AsyncBroker | None = None
    if spec.needs_local_node:
        broker = await start_broker(options, plugins)
        stack.push_async_callback(broker.close)
        sensors = broker.node.sensors
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="mainstem-pipeline")
    stack.callback(executor.shutdown)
    endpoint: MetricsEndpoint | None = None
    if options.metrics_port is not None:
        endpoint = MetricsEndpoint(sensors, plugins)
        await endpoint.start(METRICS_HOST, options.metrics_port)
        stack.push_async_callback(endpoint.close)
    log = get_logger("mainstem.pipeline")
    context = PluginContext(clock=SystemClock(), log=log, executor=executor, sensor=sensors)
    node = None if broker is None else broker.local_node
    transport = spec.open(configure(spec.config, settings, owner=f"transport {scheme}"), context, address, node)
    await transport.open()
    stack.push_async_callback(transport.close)
    return Environment(context, broker, transport, endpoint)
